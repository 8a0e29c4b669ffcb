"""Figures drawn from checkpoints and predictions."""
