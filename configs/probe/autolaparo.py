"""AutoLaparo by a linear probe of frozen features."""

from surgvista_jax.config import variant

get_config = variant("../finetune/autolaparo.py", __file__, mode="linear")
