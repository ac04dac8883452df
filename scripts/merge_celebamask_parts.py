"""Merges CelebAMask-HQ's files of single parts into masks."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.label.merge_celebamask_parts:merge_celebamask_parts")
