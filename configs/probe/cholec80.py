"""Cholec80 by a linear probe of frozen features."""

from surgvista_jax.config import variant

get_config = variant("../finetune/cholec80.py", __file__, mode="linear")
