"""Trains a U-Net on labels and on a teacher's pseudo-labels."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.segment.self_train_unet:self_train_unet", gpu=True)
