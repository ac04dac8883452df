"""Pixels without networks: colors, palettes, polygons, perceptual hashes, figures."""
