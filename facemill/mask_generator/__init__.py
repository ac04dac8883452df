"""Stage `mask_generator`: masks out of nothing, their figures, and what GauGAN paints on them."""
