"""Stage `synthesize`: the VAE that reads a style, and GauGAN that paints it onto a mask."""
