"""Scores portraits by the uncertainty of their pseudo-labels and another U-Net's disagreement."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.review.score_portraits:score_portraits", gpu=True)
