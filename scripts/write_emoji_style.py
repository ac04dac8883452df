"""Writes the definition of the style emoji, to start a style of one's own from."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.avatars.write_emoji_style:write_emoji_style")
