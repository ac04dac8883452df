"""Stage `segment`: the U-Nets v1, v2 and v3, their comparison, pseudo-labels for the whole collection, the portraits to
label next and the labels to look at again."""
