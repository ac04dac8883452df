"""Stage `review`: which portraits to label next (active learning), which labels to doubt (confident learning)."""
