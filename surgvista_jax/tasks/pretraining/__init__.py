"""Masked pretraining: a student that rebuilds hidden pixels and the features of a teacher."""
