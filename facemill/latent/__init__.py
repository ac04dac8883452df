"""Stage `latent`: latents, colour tags, the t-SNE plane, attribute vectors and transitions."""
