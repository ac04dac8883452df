"""Labels a shard of portraits with a U-Net."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.segment.pseudo_label:pseudo_label", gpu=True)
