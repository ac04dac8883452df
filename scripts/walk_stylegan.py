"""Paints paths through StyleGAN's W."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.stylegan.walk_stylegan:walk_stylegan", gpu=True)
