"""Accepts or rejects pseudo-labelled portraits for the training of GauGAN."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.segment.gate_pseudo_labels:gate_pseudo_labels")
