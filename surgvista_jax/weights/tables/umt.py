"""UMT, the unmasked teacher's student: VideoMAE's form with one frame to a token.

Its table of positions is that of 8 frames of 224 pixels, interpolated to other clips
(`positions.stretched_sine`); where it is interpolated, finetuned files carry it.
"""

import functools
from typing import Any

from surgvista_jax.errors import UserError
from surgvista_jax.weights.names.table import Heads, Shapes, Table
from surgvista_jax.weights.names.vit_entries import VIDEOMAE
from surgvista_jax.weights.names.vit_forms import ClassifierForm, EncoderForm
from surgvista_jax.weights.tables import videomae

LICENCE = "MIT"
SOURCE = "https://github.com/OpenGVLab/unmasked_teacher"
DECODER = (r"clip_decoder\..*", "predicts CLIP's features, which no model of ours has")

ENCODER = EncoderForm(
    "encoder.blocks.{}.",
    VIDEOMAE,
    "encoder.patch_embed.proj",
    "encoder.norm",
    positions="stretched",
    tubelet=1,
)
FINETUNED = ClassifierForm(
    EncoderForm("blocks.{}.", VIDEOMAE, norm=None, positions="stretched", tubelet=1)
)


def _infer(form: EncoderForm | ClassifierForm, shapes: Shapes, heads: Heads) -> Any:
    """As the form, and UMT's alone: patches of single frames, cut by a convolution in 3-D.

    Raises:
        UserError: it is another family's.
    """
    encoder = form.encoder if isinstance(form, ClassifierForm) else form
    name = f"{encoder.patches}.weight"
    shape = shapes.get(name, ())
    if len(shape) == 5 and shape[2] != 1:
        raise UserError(f"{name} spans {shape[2]} frames, and UMT's patches are single frames'")
    return form.infer(shapes, heads)


TABLES = (
    Table(
        name="umt",
        title="UMT's pretraining student",
        kind="encoder",
        licence=LICENCE,
        source=SOURCE,
        infer=functools.partial(_infer, ENCODER),
        entries=ENCODER.entries,
        prefixes=("module.",),
        left_out=(DECODER,),
        fixed=rf"{videomae.POSITIONS}|clip_pos_embed",
    ),
    Table(
        name="umt_finetuned",
        title="UMT, finetuned",
        kind="classifier",
        licence=LICENCE,
        source=SOURCE,
        infer=functools.partial(_infer, FINETUNED),
        entries=FINETUNED.entries,
        prefixes=videomae.FINETUNED_TABLE.prefixes,
        fixed=videomae.POSITIONS,
    ),
)
