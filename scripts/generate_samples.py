"""Generates portraits by StyleGAN, with masks."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.stylegan.generate_samples:generate_samples", gpu=True)
