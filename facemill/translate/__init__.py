"""Stage translate: portraits of one collection in the manner of another, and back."""
