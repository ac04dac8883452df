"""Measures what ranges of StyleGAN's layers carry."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.stylegan.evaluate_mixing:evaluate_mixing", gpu=True)
