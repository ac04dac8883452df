"""Stage `segment`: the U-Nets v1, v2 and v3, their comparison, and pseudo-labels for the whole collection."""
