"""Trains one U-Net version."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.segment.train_unet:train_unet", gpu=True)
