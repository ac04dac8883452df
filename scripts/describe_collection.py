"""Measures mean and deviation of each role's descriptors over a collection."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.avatars.describe_collection:describe_collection")
