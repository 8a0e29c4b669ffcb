"""EndoSSL's ViT as SurgVISTA's authors converted it: the teacher, and a baseline among images.

Two programs run it. SurgVISTA's normalises pixels as ImageNet's, and the norms in its teacher's
blocks have torch's epsilon of 1e-5 (pretrain_SurgVISTA/modeling_surgery_teacher.py hands its blocks
no other). EndoSSL's own takes RGB values from 0 to 255 as they are: fed so, the converted weights
give what EndoSSL's published SavedModel gives; its epsilon is taken to be JAX's and ViT's 1e-6.
"""

import dataclasses

from surgvista_jax.models.video_vit import EncoderConfig
from surgvista_jax.weights.names.entries import Entry
from surgvista_jax.weights.names.table import RAW, Table
from surgvista_jax.weights.names.vit_entries import VIDEOMAE, separate
from surgvista_jax.weights.names.vit_forms import EncoderForm

ENCODER = EncoderForm(
    "blocks.{}.",
    dataclasses.replace(separate(VIDEOMAE, "attn.{}"), qv_bias=()),
    norm=None,
    positions="learned",
    tubelet=1,
    conv=2,
    position_table="pos_embed",
    class_token="cls_token",
    epsilon=1e-5,
)


def _entries(config: EncoderConfig) -> list[Entry]:
    return ENCODER.entries(config, "encoder/")


TABLE = Table(
    name="endossl",
    title="EndoSSL's image ViT (SurgVISTA's teacher, pixels as SurgVISTA feeds them)",
    kind="teacher",
    licence="that of royhirsch/endossl",
    source="https://github.com/royhirsch/endossl; converted by"
    " https://github.com/isyangshu/SurgVISTA",
    infer=ENCODER.infer,
    entries=_entries,
    prefixes=("module.", "encoder.", "backbone."),
    left_out=(
        (r"norm\..*", "the final norm: the student learns from the features before it"),
        (r"(head|fc_norm)\..*", "a classification head"),
    ),
)
RAW_TABLE = dataclasses.replace(
    TABLE,
    name="endossl_raw",
    title="EndoSSL's image ViT (raw pixels, as EndoSSL's own program feeds it)",
    infer=dataclasses.replace(ENCODER, epsilon=1e-6).infer,
    variant_of="endossl",
    pixels=RAW,
    only_named="EndoSSL's own program feeds it raw pixels",
)

TABLES = (TABLE, RAW_TABLE)
