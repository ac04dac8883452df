"""Writes the card of a dataset."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.report.describe_dataset:describe_dataset")
