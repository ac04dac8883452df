"""Writes generated portraits to label as labelme files."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.stylegan.review_generated:review_generated", gpu=True)
