"""Measures translations through masks, and shows them beside those of CycleGAN."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.translate.evaluate_through_masks:evaluate_through_masks", gpu=True)
