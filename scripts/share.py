"""Shares the results through DVC."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.workflow.dvc:share")
