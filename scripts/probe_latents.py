"""Fits linear probes to latents and to pixels, and measures their accuracy."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.latent.probe_latents:probe_latents")
