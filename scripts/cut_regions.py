"""Cuts the parts of each portrait of a shard."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.avatars.cut_regions:cut_regions")
