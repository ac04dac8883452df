"""Trains U-Net v5: v3 with the tokens of a vision transformer."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.segment.train_token_unet:train_token_unet", gpu=True)
