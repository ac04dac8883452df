"""Stage `segment`: U-Nets trained and compared, pseudo-labels of the whole collection, the gate before GauGAN."""
