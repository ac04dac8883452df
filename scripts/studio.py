"""Opens the studio: a local page that paints portraits from the mask under a brush."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.studio.studio:studio")
