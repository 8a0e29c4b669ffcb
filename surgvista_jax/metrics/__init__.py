"""Scores of surgical video recognition, with NumPy, SciPy and scikit-learn alone (no JAX)."""
