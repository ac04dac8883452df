"""Writes the card of GauGAN."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.report.describe_gaugan:describe_gaugan")
