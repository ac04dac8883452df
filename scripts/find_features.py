"""Compares StyleGAN's feature maps with the classes of masks."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.stylegan.find_features:find_features", gpu=True)
