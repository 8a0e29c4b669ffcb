"""UMT, the unmasked teacher's student: VideoMAE's form with one frame to a token."""

import dataclasses

from surgvista_jax.weights.names.table import Table
from surgvista_jax.weights.names.vit_entries import VIDEOMAE
from surgvista_jax.weights.names.vit_forms import EncoderForm
from surgvista_jax.weights.tables import videomae

LICENCE = "MIT"
SOURCE = "https://github.com/OpenGVLab/unmasked_teacher"
DECODER = (r"clip_decoder\..*", "predicts CLIP's features, which no model of ours has")

ENCODER = EncoderForm(
    "encoder.blocks.{}.", VIDEOMAE, "encoder.patch_embed.proj", "encoder.norm", tubelet=1
)

TABLES = (
    Table(
        name="umt",
        title="UMT's pretraining student",
        kind="encoder",
        licence=LICENCE,
        source=SOURCE,
        infer=ENCODER.infer,
        entries=ENCODER.entries,
        prefixes=("module.",),
        left_out=(DECODER,),
        fixed=rf"{videomae.POSITIONS}|clip_pos_embed",
    ),
    dataclasses.replace(
        videomae.FINETUNED_TABLE,
        name="umt_finetuned",
        title="UMT, finetuned",
        licence=LICENCE,
        source=SOURCE,
        variant_of="videomae_finetuned",
    ),
)
