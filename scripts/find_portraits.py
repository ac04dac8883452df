"""Finds the portraits in a shard of selected images."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.ingest.find_portraits:find_portraits")
