"""VideoMAE and InternVideo, which keeps its form: authors' names and those of transformers."""

import dataclasses

from surgvista_jax.weights.names.table import Table
from surgvista_jax.weights.names.vit_entries import TRANSFORMERS, VIDEOMAE
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


def pretraining(
    encoder: EncoderForm, decoder_blocks: str, final_epsilon: float = 0.0
) -> StudentForm:
    """VideoMAE's encoder and one decoder, whose projection has no bias."""
    decoder = DecoderForm(
        projection="encoder_to_decoder",
        mask_token="mask_token",
        blocks=decoder_blocks,
        norm="decoder.norm",
        head="decoder.head",
        bias=False,
        final_epsilon=final_epsilon,
    )
    return StudentForm(encoder, decoder)


PRETRAINING = pretraining(
    EncoderForm("encoder.blocks.{}.", VIDEOMAE, "encoder.patch_embed.proj", "encoder.norm"),
    "decoder.blocks.{}.",
)

_INSIDE = "attention.attention"
HUB_NAMES = dataclasses.replace(
    TRANSFORMERS,
    qv_bias=(f"{_INSIDE}.q_bias", f"{_INSIDE}.v_bias"),
    qkv_bias=(f"{_INSIDE}.q_bias", f"{_INSIDE}.key.bias", f"{_INSIDE}.v_bias"),
)
# transformers 5 renamed the two biases, and gave the key one.
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
        optional=("norm",) if norm else (),
        epsilon=1e-12,
    )


# The decoder's and the classifier's last norm have torch's own epsilon.
HUB_PRETRAINING = pretraining(
    _hub_encoder("videomae.", "videomae.layernorm"), "decoder.decoder_layers.{}.", 1e-5
)
HUB_FINETUNED = ClassifierForm(
    _hub_encoder("videomae.", None), head="classifier", final_epsilon=1e-5
)
HUB_ENCODER = _hub_encoder("", "layernorm")

VIDEOMAE_TABLE = Table(
    name="videomae",
    title="VideoMAE's pretraining model",
    kind="student",
    licence=LICENCE,
    source=SOURCE,
    infer=PRETRAINING.infer,
    entries=PRETRAINING.entries,
    prefixes=("module.",),
    fixed=POSITIONS,
)
FINETUNED_TABLE = Table(
    name="videomae_finetuned",
    title="VideoMAE, finetuned",
    kind="classifier",
    licence=LICENCE,
    source=SOURCE,
    infer=FINETUNED.infer,
    entries=FINETUNED.entries,
    prefixes=("module.", "backbone.", "encoder.", "model."),
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
        name="videomae_hf",
        title="transformers' VideoMAEForPreTraining",
        kind="student",
        licence=LICENCE,
        source=HUB,
        infer=HUB_PRETRAINING.infer,
        entries=HUB_PRETRAINING.entries,
        fixed=POSITIONS,
        spellings=HUB_SPELLINGS,
    ),
    Table(
        name="videomae_hf_encoder",
        title="transformers' VideoMAEModel",
        kind="encoder",
        licence=LICENCE,
        source=HUB,
        infer=HUB_ENCODER.infer,
        entries=HUB_ENCODER.entries,
        prefixes=("videomae.",),
        fixed=POSITIONS,
        spellings=HUB_SPELLINGS,
    ),
    Table(
        name="videomae_hf_finetuned",
        title="transformers' VideoMAEForVideoClassification",
        kind="classifier",
        licence=LICENCE,
        source=HUB,
        infer=HUB_FINETUNED.infer,
        entries=HUB_FINETUNED.entries,
        fixed=POSITIONS,
        spellings=HUB_SPELLINGS,
    ),
)
