"""Fits attribute vectors."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.latent.attribute_vectors:attribute_vectors")
