"""Translates the portraits of a shard."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.translate.translate_portraits:translate_portraits", gpu=True)
