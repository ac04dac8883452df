"""Makes randomly warped copies of labelled portraits."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.label.augment_labels:augment_labels")
