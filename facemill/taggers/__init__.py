"""Taggers: whatever says which tags a portrait has."""
