"""Stage `label`: labelme files and index masks to class masks, checked, split by portrait, augmented."""
