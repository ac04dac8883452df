"""Translates the portraits of a shard through their masks."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.translate.translate_through_masks:translate_through_masks", gpu=True)
