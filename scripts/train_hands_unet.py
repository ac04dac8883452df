"""Trains a U-Net that knows both hands of the sample."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.translate.train_hands_unet:train_hands_unet", gpu=True)
