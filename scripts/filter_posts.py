"""Selects posts, and shows how many posts each rule of the filter removes."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.ingest.filter_posts:filter_posts")
