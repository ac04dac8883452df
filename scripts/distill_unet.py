"""Distills U-Nets into one of v3's size."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.segment.distill_unet:distill_unet", gpu=True)
