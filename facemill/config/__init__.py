"""The config: a file a stage, and `root` with all sections."""
