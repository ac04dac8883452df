"""Writes a page on which faces are rejected by hand."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.swap.cull_faces:cull_faces")
