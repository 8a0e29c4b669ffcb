"""M2CAI16-workflow by a linear probe of frozen features."""

from surgvista_jax.config import variant

get_config = variant("../finetune/m2cai16.py", __file__, mode="linear")
