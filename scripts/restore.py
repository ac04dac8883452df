"""Restores results that were shared through DVC, so that Snakemake has nothing left to do."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.workflow.dvc:restore")
