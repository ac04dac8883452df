"""Avatars: a portrait's parts, matched to the parts of drawing styles."""
