"""Compares latents with a standard normal."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.latent.plot_latents:plot_latents")
