"""Draws the faces of a film, a folder or a photo anew as another person's."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.swap.convert_faces:convert_faces", gpu=True)
