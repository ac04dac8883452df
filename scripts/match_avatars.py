"""Matches portraits to the parts of a drawing style, and draws their avatars."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.avatars.match_avatars:match_avatars")
