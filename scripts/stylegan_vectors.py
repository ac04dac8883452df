"""Fits attribute vectors in W to generated portraits."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.stylegan.stylegan_vectors:stylegan_vectors")
