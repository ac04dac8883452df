"""Measures the mask generator."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.mask_generator.evaluate_mask_generator:evaluate_mask_generator", gpu=True)
