"""Counts the portraits to learn from and to evaluate on, before anything long runs."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.synthesize.count_portraits:count_portraits")
