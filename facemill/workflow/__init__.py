"""Plumbing of the workflow, which is in no job's digest: commands, bootstrap, provenance, GPU slots, sharing."""
