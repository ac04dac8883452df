"""Renders the parts of a drawing style and describes them."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.avatars.render_parts:render_parts")
