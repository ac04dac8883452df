"""Stage `latent`: latents, tags, the t-SNE map, attribute vectors, and what edits along them change."""
