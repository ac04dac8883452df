"""Stage `synthesize`: the VAE, and GauGAN, which paints a style onto a mask."""
