"""Measures translations between this collection and another, in both directions."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.translate.evaluate_cyclegan:evaluate_cyclegan", gpu=True)
