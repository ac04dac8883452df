"""Generates portraits from a folder of masks with a trained GauGAN, outside the workflow."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.synthesize.generate_portraits:generate_portraits")
