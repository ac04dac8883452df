"""Converts labelme files and index masks to class masks, and splits the labelled portraits."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.label.convert_labels:convert_labels")
