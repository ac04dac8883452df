"""Stage `label`: labelme files to class masks, split by portrait, augmented."""
