"""Chooses among the points of a training of translators, by a rule."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.translate.choose_point:choose_point", gpu=True)
