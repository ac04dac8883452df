"""Trains translations of portraits between two collections."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.translate.train_cyclegan:train_cyclegan", gpu=True)
