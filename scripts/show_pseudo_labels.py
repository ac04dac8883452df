"""Sums up the pseudo-labels and shows them by confidence."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.segment.show_pseudo_labels:show_pseudo_labels")
