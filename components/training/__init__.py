"""Batches, the trainer, checkpoints, and the geometry taken along the way."""
