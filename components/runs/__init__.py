"""A run: one variant with one seed, trained, measured and recorded; no flow is needed to make one."""
