"""Tells which pictures and films bear the mark of synthetic ones."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.data.is_synthetic:is_synthetic")
