"""Makes portraits of the other collection's images."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.translate.crop_other:crop_other", gpu=True)
