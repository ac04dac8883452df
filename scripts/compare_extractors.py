"""Compares extractors: shape, pixels, the autoencoder as published and mended, pretrained networks."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.avatars.compare_extractors:compare_extractors", gpu=True)
