"""EndoSSL's ViT as SurgVISTA's authors converted it: the teacher, and a baseline among images."""

import dataclasses

from surgvista_jax.models.video_vit import EncoderConfig
from surgvista_jax.weights.names.entries import Entry
from surgvista_jax.weights.names.table import Table
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
)


def _entries(config: EncoderConfig) -> list[Entry]:
    return ENCODER.entries(config, "encoder/")


TABLE = Table(
    name="endossl",
    title="EndoSSL's image ViT (SurgVISTA's teacher)",
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
