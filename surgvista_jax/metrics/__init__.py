"""Scores of surgical video recognition, with NumPy alone (no JAX)."""
