"""VideoMAE and InternVideo, which keeps its form: authors' names and those of transformers."""

import dataclasses

from surgvista_jax.weights.names.table import Table
from surgvista_jax.weights.names.vit_entries import VIDEOMAE, BlockNames, separate
from surgvista_jax.weights.names.vit_forms import (
    ClassifierForm,
    DecoderForm,
    EncoderForm,
    StudentForm,
)

LICENCE = "CC BY-NC 4.0"
SOURCE = "https://github.com/MCG-NJU/VideoMAE"
HUB = "https://huggingface.co/MCG-NJU/videomae-base"
INTERNVIDEO = "https://github.com/OpenGVLab/InternVideo"
# Of the encoder and of the decoder, in every spelling.
POSITIONS = r"(.*\.)?pos(ition)?_embed(dings)?"

FINETUNED = ClassifierForm(EncoderForm("blocks.{}.", VIDEOMAE, norm=None))


def pretraining(encoder: EncoderForm, decoder_blocks: str) -> StudentForm:
    """VideoMAE's encoder and one decoder, whose projection has no bias."""
    decoder = DecoderForm(
        "encoder_to_decoder",
        "mask_token",
        decoder_blocks,
        "decoder.norm",
        "decoder.head",
        bias=False,
    )
    return StudentForm(encoder, decoder)


PRETRAINING = pretraining(
    EncoderForm("encoder.blocks.{}.", VIDEOMAE, "encoder.patch_embed.proj", "encoder.norm"),
    "decoder.blocks.{}.",
)

_INSIDE = "attention.attention"
HUB_NAMES = dataclasses.replace(
    separate(
        BlockNames(
            "layernorm_before",
            "layernorm_after",
            (),
            "attention.output.dense",
            "intermediate.dense",
            "output.dense",
        ),
        f"{_INSIDE}.{{long}}",
    ),
    qv_bias=(f"{_INSIDE}.q_bias", f"{_INSIDE}.v_bias"),
    qkv_bias=(),
)
# transformers 5 renamed the two biases.
HUB_SPELLINGS = (
    (r"attention\.attention\.query\.bias$", f"{_INSIDE}.q_bias"),
    (r"attention\.attention\.value\.bias$", f"{_INSIDE}.v_bias"),
)


def _hub_encoder(prefix: str, norm: str | None) -> EncoderForm:
    return EncoderForm(
        f"{prefix}encoder.layer.{{}}.",
        HUB_NAMES,
        f"{prefix}embeddings.patch_embeddings.projection",
        norm,
    )


HUB_PRETRAINING = pretraining(
    _hub_encoder("videomae.", "videomae.layernorm"), "decoder.decoder_layers.{}."
)
HUB_FINETUNED = ClassifierForm(_hub_encoder("videomae.", None), head="classifier")
HUB_ENCODER = _hub_encoder("", "layernorm")

VIDEOMAE_TABLE = Table(
    "videomae",
    "VideoMAE's pretraining model",
    "student",
    LICENCE,
    SOURCE,
    PRETRAINING.infer,
    PRETRAINING.entries,
    ("module.",),
    fixed=POSITIONS,
)
FINETUNED_TABLE = Table(
    "videomae_finetuned",
    "VideoMAE, finetuned",
    "classifier",
    LICENCE,
    SOURCE,
    FINETUNED.infer,
    FINETUNED.entries,
    ("module.", "backbone.", "encoder.", "model."),
    fixed=POSITIONS,
)

TABLES = (
    VIDEOMAE_TABLE,
    FINETUNED_TABLE,
    dataclasses.replace(
        VIDEOMAE_TABLE,
        name="internvideo",
        title="InternVideo's pretraining model (VideoMAE's form)",
        licence="Apache-2.0",
        source=INTERNVIDEO,
        variant_of="videomae",
    ),
    dataclasses.replace(
        FINETUNED_TABLE,
        name="internvideo_finetuned",
        title="InternVideo, finetuned (VideoMAE's form)",
        licence="Apache-2.0",
        source=INTERNVIDEO,
        variant_of="videomae_finetuned",
    ),
    Table(
        "videomae_hf",
        "transformers' VideoMAEForPreTraining",
        "student",
        LICENCE,
        HUB,
        HUB_PRETRAINING.infer,
        HUB_PRETRAINING.entries,
        (),
        fixed=POSITIONS,
        spellings=HUB_SPELLINGS,
    ),
    Table(
        "videomae_hf_encoder",
        "transformers' VideoMAEModel",
        "encoder",
        LICENCE,
        HUB,
        HUB_ENCODER.infer,
        HUB_ENCODER.entries,
        ("videomae.",),
        fixed=POSITIONS,
        spellings=HUB_SPELLINGS,
    ),
    Table(
        "videomae_hf_finetuned",
        "transformers' VideoMAEForVideoClassification",
        "classifier",
        LICENCE,
        HUB,
        HUB_FINETUNED.infer,
        HUB_FINETUNED.entries,
        (),
        fixed=POSITIONS,
        spellings=HUB_SPELLINGS,
    ),
)
