"""Ranks labelled portraits by how much networks trained without them contradict their labels."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.review.judge_labels:judge_labels", gpu=True)
