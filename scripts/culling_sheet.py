"""Makes the page on which the portraits of a shard are culled."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.ingest.culling_sheet:culling_sheet")
