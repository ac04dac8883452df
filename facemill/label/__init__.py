"""Stage `label`: labelme files and ready-made masks to class masks, checked, split by portrait, augmented."""
