"""Encodes portraits as latents."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.latent.encode_latents:encode_latents", gpu=True)
