"""Trains the VAE whose encoder reads style codes."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.synthesize.train_vae:train_vae", gpu=True)
