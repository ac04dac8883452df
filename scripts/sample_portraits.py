"""Paints portraits with a trained StyleGAN, outside the workflow."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.stylegan.sample_portraits:sample_portraits")
