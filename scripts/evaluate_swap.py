"""Measures exchanged faces and draws pictures of them."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.swap.evaluate_swap:evaluate_swap", gpu=True)
