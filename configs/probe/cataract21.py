"""Cataract-21 by a linear probe of frozen features."""

from surgvista_jax.config import variant

get_config = variant("../finetune/cataract21.py", __file__, mode="linear")
