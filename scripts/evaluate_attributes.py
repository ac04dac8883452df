"""Evaluates attribute vectors on held-out portraits."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.latent.evaluate_attributes:evaluate_attributes", gpu=True)
