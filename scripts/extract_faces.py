"""Extracts the faces of a film, aligned, with their masks."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.swap.extract_faces:extract_faces", gpu=True)
