"""The config: a file a stage, all of it in `root`."""
