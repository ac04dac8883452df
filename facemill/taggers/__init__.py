"""Taggers: networks, palettes, probes and the collection's tags behind one interface."""
