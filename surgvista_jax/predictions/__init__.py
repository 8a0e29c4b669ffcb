"""A model's predictions on disk and in memory, from whichever file format; no JAX."""
