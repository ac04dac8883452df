"""Renders the embedded sample as a Danbooru dump with labelme files."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.ingest.render_sample:render_sample")
