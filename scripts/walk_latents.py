"""Paints paths through latent space."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.latent.walk_latents:walk_latents", gpu=True)
