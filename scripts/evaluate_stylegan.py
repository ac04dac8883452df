"""Measures StyleGAN's portraits against real ones."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.stylegan.evaluate_stylegan:evaluate_stylegan", gpu=True)
