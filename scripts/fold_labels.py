"""Holds out one fold of all labelled portraits, and augments the others."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.review.fold_labels:fold_labels")
