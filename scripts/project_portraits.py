"""Finds a trained StyleGAN's styles for a folder of images, outside the workflow."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.stylegan.project_portraits:project_portraits")
