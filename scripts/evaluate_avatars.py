"""Measures how well avatars are matched."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.avatars.evaluate_avatars:evaluate_avatars")
