"""Evaluates the VAE on held-out portraits."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.synthesize.evaluate_vae:evaluate_vae", gpu=True)
