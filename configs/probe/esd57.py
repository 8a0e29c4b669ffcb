"""ESD57 by a linear probe of frozen features."""

from surgvista_jax.config import variant

get_config = variant("../finetune/esd57.py", __file__, mode="linear")
