"""Architectures and their losses, a paper a file."""
