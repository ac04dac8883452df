"""Edits generated portraits in four ways, and measures what changes."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.stylegan.evaluate_edits:evaluate_edits", gpu=True)
