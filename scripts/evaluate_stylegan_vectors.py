"""Edits generated portraits along the attribute vectors in W, and measures what changes."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.stylegan.evaluate_stylegan_vectors:evaluate_stylegan_vectors", gpu=True)
