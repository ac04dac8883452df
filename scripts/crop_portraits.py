"""Makes a shard of portraits from selected images."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.ingest.crop_portraits:crop_portraits")
