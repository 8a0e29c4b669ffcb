"""Whether a dataset folder is what it should be."""
