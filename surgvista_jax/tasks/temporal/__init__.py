"""Temporal heads: whole videos of features, refined into one prediction a frame."""
