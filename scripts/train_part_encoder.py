"""Trains the autoencoder of parts of portraits, as published or mended."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.avatars.train_part_encoder:train_part_encoder", gpu=True)
