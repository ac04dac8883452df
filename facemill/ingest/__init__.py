"""Stage `ingest`: posts and images in, shards of checked portraits out."""
