"""Cholec80-CVS by a linear probe of frozen features."""

from surgvista_jax.config import variant

get_config = variant("../finetune/cholec80_cvs.py", __file__, mode="linear")
