"""Measures how near StyleGAN comes to portraits."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.stylegan.project_samples:project_samples", gpu=True)
