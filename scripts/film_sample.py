"""Draws the embedded sample's two films, with the truth of their frames."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.ingest.film_sample:film_sample")
