"""Flax modules: the video student, its decoders and the image teacher."""
