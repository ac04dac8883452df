"""Writes the card of a U-Net."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.report.describe_unet:describe_unet")
