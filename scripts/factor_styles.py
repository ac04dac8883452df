"""Finds directions in W without labels, and what each moves."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.stylegan.factor_styles:factor_styles", gpu=True)
