"""Trains GauGAN, which paints portraits from masks."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.synthesize.train_gaugan:train_gaugan", gpu=True)
