"""Writes the card of the VAE."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.report.describe_vae:describe_vae")
