"""Writes masks for a folder of images."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.segment.predict_masks:predict_masks")
