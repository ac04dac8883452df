"""Facemill: from a few labelled portraits to masks for all, a model that paints from masks, and vectors to steer it."""
