"""Trains an encoder of faces and a decoder for each of two persons."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.swap.train_swap:train_swap", gpu=True)
