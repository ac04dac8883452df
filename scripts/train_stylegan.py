"""Trains StyleGAN, which paints portraits out of nothing."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.stylegan.train_stylegan:train_stylegan", gpu=True)
