"""Reads the styles of portraits by region."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.latent.encode_styles:encode_styles", gpu=True)
