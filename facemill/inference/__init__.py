"""Finished models at work: segmenting, painting, editing."""
