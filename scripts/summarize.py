"""Gathers every number of a run in one JSON."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.report.summarize:summarize")
