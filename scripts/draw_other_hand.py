"""Draws the sample's portraits by the other hand."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.ingest.draw_other_hand:draw_other_hand")
