"""Compares U-Net versions on the same test portraits."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.segment.compare_unets:compare_unets", gpu=True)
