"""Tags generated portraits."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.stylegan.tag_generated:tag_generated")
