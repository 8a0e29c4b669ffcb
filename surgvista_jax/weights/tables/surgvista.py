"""SurgVISTA's student and finetuned models under the authors' names."""

import dataclasses

from surgvista_jax.weights.names.table import Table
from surgvista_jax.weights.names.vit_entries import VIDEOMAE
from surgvista_jax.weights.names.vit_forms import (
    ClassifierForm,
    DecoderForm,
    EncoderForm,
    StudentForm,
)

LICENCE = "CC BY-NC-ND 4.0 (the authors' checkpoints)"
SOURCE = "https://github.com/isyangshu/SurgVISTA"
# Of the encoder and of both decoders: MVD and SurgVISTA make parameters of them.
POSITIONS = r"pos_embed(_img|_vid)?"
PREFIXES = ("module.", "backbone.", "encoder.")

ENCODER = EncoderForm("blocks.{}.", VIDEOMAE, positions="separable")
FINETUNED = ClassifierForm(dataclasses.replace(ENCODER, norm=None))
# An image model's convolution on every frame of the clip, positions counted through the clip.
FRAMES = ClassifierForm(
    EncoderForm("blocks.{}.", VIDEOMAE, norm=None, positions="flat", tubelet=1, conv=2)
)


def _decoder(suffix: str) -> DecoderForm:
    inside = f"decoder_{suffix}"
    return DecoderForm(
        f"down_{suffix}",
        f"mask_token_{suffix}",
        f"{inside}.blocks.{{}}.",
        f"{inside}.norm",
        f"{inside}.head",
    )


STUDENT = StudentForm(ENCODER, _decoder("vid"), _decoder("img"))

TABLES = (
    Table(
        "surgvista",
        "SurgVISTA's pretraining student",
        "student",
        LICENCE,
        SOURCE,
        STUDENT.infer,
        STUDENT.entries,
        ("module.",),
        fixed=POSITIONS,
    ),
    Table(
        "surgvista_finetuned",
        "SurgVISTA, finetuned",
        "classifier",
        LICENCE,
        SOURCE,
        FINETUNED.infer,
        FINETUNED.entries,
        PREFIXES,
        fixed=POSITIONS,
    ),
    Table(
        "frames_finetuned",
        "an image ViT finetuned on clips by SurgVISTA's program",
        "classifier",
        LICENCE,
        SOURCE,
        FRAMES.infer,
        FRAMES.entries,
        PREFIXES,
        fixed=POSITIONS,
    ),
)
