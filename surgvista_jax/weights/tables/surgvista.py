"""SurgVISTA's student and finetuned models under the authors' names."""

import dataclasses

from surgvista_jax.weights.names.table import Table
from surgvista_jax.weights.names.vit_entries import VIDEOMAE, separate
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

# Both authors' programs make a class token when asked to; published models have none.
ENCODER = EncoderForm(
    "blocks.{}.",
    VIDEOMAE,
    positions="separable",
    class_token="cls_token",
    optional=("class_token",),
)
FINETUNED = ClassifierForm(dataclasses.replace(ENCODER, norm=None))
# An image model's convolution on every frame of the clip, positions counted through the clip.
FRAMES = ClassifierForm(
    EncoderForm("blocks.{}.", VIDEOMAE, norm=None, positions="flat", tubelet=1, conv=2)
)
# EndoSSL's ViT among them, whose query, key and value are layers of their own.
DIVIDED = dataclasses.replace(
    FRAMES,
    encoder=dataclasses.replace(
        FRAMES.encoder, names=dataclasses.replace(separate(VIDEOMAE, "attn.{}"), qv_bias=())
    ),
)


def _decoder(suffix: str) -> DecoderForm:
    inside = f"decoder_{suffix}"
    return DecoderForm(
        projection=f"down_{suffix}",
        mask_token=f"mask_token_{suffix}",
        blocks=f"{inside}.blocks.{{}}.",
        norm=f"{inside}.norm",
        head=f"{inside}.head",
    )


STUDENT = StudentForm(ENCODER, _decoder("vid"), _decoder("img"))

TABLES = (
    Table(
        name="surgvista",
        title="SurgVISTA's pretraining student",
        kind="student",
        licence=LICENCE,
        source=SOURCE,
        infer=STUDENT.infer,
        entries=STUDENT.entries,
        prefixes=("module.",),
        fixed=POSITIONS,
        optional=r"(decoder|down|mask_token)_img(\..*)?",
    ),
    Table(
        name="surgvista_finetuned",
        title="SurgVISTA, finetuned",
        kind="classifier",
        licence=LICENCE,
        source=SOURCE,
        infer=FINETUNED.infer,
        entries=FINETUNED.entries,
        prefixes=PREFIXES,
        fixed=POSITIONS,
    ),
    Table(
        name="frames_finetuned",
        title="an image ViT finetuned on clips by SurgVISTA's program",
        kind="classifier",
        licence=LICENCE,
        source=SOURCE,
        infer=FRAMES.infer,
        entries=FRAMES.entries,
        prefixes=PREFIXES,
        fixed=POSITIONS,
        also=("endossl_finetuned",),
    ),
    Table(
        name="endossl_finetuned",
        title="EndoSSL's ViT finetuned on clips by SurgVISTA's program",
        kind="classifier",
        licence=LICENCE,
        source=SOURCE,
        infer=DIVIDED.infer,
        entries=DIVIDED.entries,
        prefixes=PREFIXES,
        fixed=POSITIONS,
    ),
)
