"""VideoMAE V2: pretraining, and the finetuned and distilled models, whose encoder has no norm."""

import dataclasses

from surgvista_jax.weights.names.table import Table
from surgvista_jax.weights.names.vit_entries import VIDEOMAE
from surgvista_jax.weights.names.vit_forms import EncoderForm
from surgvista_jax.weights.tables import videomae

LICENCE = "CC BY-NC 4.0"
SOURCE = "https://github.com/OpenGVLab/VideoMAEv2"
HEAD = (r"(fc_norm|head)\..*", "norm after the mean and head, which finetuning starts anew")

ENCODER = EncoderForm("blocks.{}.", VIDEOMAE, norm=None)

TABLES = (
    Table(
        name="videomae2",
        title="VideoMAE V2's encoder (distilled, finetuned, or from the hub)",
        kind="encoder",
        licence=LICENCE,
        source=SOURCE,
        infer=ENCODER.infer,
        entries=ENCODER.entries,
        prefixes=("model.", "module.", "backbone."),
        left_out=(HEAD,),
        fixed=videomae.POSITIONS,
    ),
    dataclasses.replace(
        videomae.VIDEOMAE_TABLE,
        name="videomae2_pretraining",
        title="VideoMAE V2's pretraining model",
        source=SOURCE,
        variant_of="videomae",
    ),
    dataclasses.replace(
        videomae.FINETUNED_TABLE,
        name="videomae2_finetuned",
        title="VideoMAE V2, finetuned or distilled",
        source=SOURCE,
        variant_of="videomae_finetuned",
    ),
)
