"""Reads a collection into the table of posts."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.ingest.ingest_posts:ingest_posts")
