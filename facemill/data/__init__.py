"""Contents of files: classes, shards, masks, labelme's format, splits, training data."""
