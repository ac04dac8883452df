"""Labels generated portraits by a few labelled ones."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.stylegan.propagate_labels:propagate_labels", gpu=True)
