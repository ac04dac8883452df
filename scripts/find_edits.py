"""Finds local edits of StyleGAN's feature maps."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.stylegan.find_edits:find_edits", gpu=True)
