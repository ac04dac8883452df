"""Edits portraits of a trained StyleGAN, outside the workflow."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.stylegan.edit_portraits:edit_portraits")
