"""Mixes styles of portraits with a trained StyleGAN, outside the workflow."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.stylegan.mix_portraits:mix_portraits")
