"""Maps latents by t-SNE."""

from facemill.workflow.command import run

if __name__ == "__main__":
    run("facemill.latent.plot_tsne:plot_tsne")
