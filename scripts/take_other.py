"""Copies portraits and masks of another run."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.translate.take_other:take_other")
