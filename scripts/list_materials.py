"""Writes the bill of materials of a dataset and its models."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.report.list_materials:list_materials")
