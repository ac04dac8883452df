"""Draws held-out portraits as several models translate them, side by side, outside the workflow."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.translate.compare_translations:compare_translations")
