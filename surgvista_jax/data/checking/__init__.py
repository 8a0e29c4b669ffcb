"""Checks of a dataset folder, and their report."""
