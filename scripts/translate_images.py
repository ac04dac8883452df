"""Translates a photo, a folder of images or a film into the manner of another collection, outside the workflow."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.translate.translate_images:translate_images")
