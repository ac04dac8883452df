"""Writes trained networks as ONNX files, for game engines and browsers; outside the workflow."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.studio.export_onnx:export_onnx")
