"""Puts the pictures of a run into one page."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.report.report:report")
