"""What files hold: classes, shards, masks, labelme's format, splits, training data."""
