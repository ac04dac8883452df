"""Metrics of masks and of generated portraits."""
