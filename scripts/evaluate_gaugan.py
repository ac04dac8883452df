"""Evaluates GauGAN on held-out masks."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.synthesize.evaluate_gaugan:evaluate_gaugan", gpu=True)
