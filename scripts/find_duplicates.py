"""Finds near-duplicates among the portraits of all shards."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.ingest.find_duplicates:find_duplicates")
