"""Makes the film of embeddings of a film: its face, the avatar, and how its parts are chosen."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.avatars.film_avatar:film_avatar", gpu=True)
