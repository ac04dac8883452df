"""Measures both collections for translation through masks, and puts its networks together."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.translate.learn_through_masks:learn_through_masks", gpu=True)
