"""Inference with trained models: segmentation, painting, editing."""
