"""Ranks the unlabelled portraits and writes the first ones as labelme files to correct."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.review.review_portraits:review_portraits", gpu=True)
