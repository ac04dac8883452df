"""Stage `latent`: latents, color tags, the t-SNE plane, attribute vectors and transitions."""
