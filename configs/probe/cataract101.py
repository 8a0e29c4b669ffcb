"""Cataract-101 by a linear probe of frozen features."""

from surgvista_jax.config import variant

get_config = variant("../finetune/cataract101.py", __file__, mode="linear")
