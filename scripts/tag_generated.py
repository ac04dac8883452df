"""Tags generated portraits."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.latent.tag_portraits:tag_portraits")
