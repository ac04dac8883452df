"""Draws a film's frames with several settings of the conversion, outside the workflow."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.swap.preview_swap:preview_swap")
