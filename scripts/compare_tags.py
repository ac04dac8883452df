"""Compares the sources of tags."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.latent.compare_tags:compare_tags")
