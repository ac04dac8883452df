"""Training runs: checkpoints, exact resume, curves, EMA, schedules."""
