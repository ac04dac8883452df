"""Makes avatars of a photo or a folder of images, outside the workflow."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.avatars.make_avatar:make_avatar")
