"""What carries the workflow and is in no job's digest: commands, bootstrap, provenance, GPU slots, sharing."""
