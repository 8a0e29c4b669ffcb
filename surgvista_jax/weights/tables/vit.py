"""Image ViTs (supervised, MAE, DINO, EndoViT) under timm's and transformers' names."""

import dataclasses
from typing import Any

from surgvista_jax.weights.names.table import Pixels, Table
from surgvista_jax.weights.names.vit_entries import TIMM, TRANSFORMERS
from surgvista_jax.weights.names.vit_forms import EncoderForm

TIMM_FORM = EncoderForm(
    "blocks.{}.",
    TIMM,
    positions="learned",
    tubelet=1,
    conv=2,
    position_table="pos_embed",
    class_token="cls_token",
    class_slot=True,
    resize="antialias",
)
# Programs that keep timm's names and interpolate positions in their own way.
MAE_FORM = dataclasses.replace(TIMM_FORM, resize="bicubic")
DINO_FORM = dataclasses.replace(TIMM_FORM, resize="offset")
DECODER = (r"(decoder_.*|mask_token)", "MAE's decoder of pixels")
HEAD = (r"(head|head_dist|pre_logits)\..*", "a classification head")

VIT = Table(
    name="vit",
    title="an image ViT in timm's names",
    kind="encoder",
    licence="that of the file: timm's supervised models are Apache-2.0",
    source="Dosovitskiy et al., ICLR 2021; https://github.com/huggingface/pytorch-image-models",
    infer=TIMM_FORM.infer,
    entries=TIMM_FORM.entries,
    prefixes=("module.", "backbone.", "encoder.", "model."),
    left_out=(DECODER, HEAD),
)

_INSIDE = "attention.attention"
HUB_FORM = EncoderForm(
    "encoder.layer.{}.",
    dataclasses.replace(TRANSFORMERS, qv_bias=()),
    "embeddings.patch_embeddings.projection",
    "layernorm",
    positions="learned",
    tubelet=1,
    conv=2,
    position_table="embeddings.position_embeddings",
    class_token="embeddings.cls_token",
    class_slot=True,
    epsilon=1e-12,
)
# transformers 5 renamed the parts of a block.
HUB_SPELLINGS = (
    (r"^layers\.", "encoder.layer."),
    (r"\.attention\.q_proj\.", f".{_INSIDE}.query."),
    (r"\.attention\.k_proj\.", f".{_INSIDE}.key."),
    (r"\.attention\.v_proj\.", f".{_INSIDE}.value."),
    (r"\.attention\.o_proj\.", ".attention.output.dense."),
    (r"\.mlp\.fc1\.", ".intermediate.dense."),
    (r"\.mlp\.fc2\.", ".output.dense."),
)
VIT_HUB = Table(
    name="vit_hf",
    title="transformers' ViTModel, ViTMAEModel or a model around one",
    kind="encoder",
    licence="that of the file",
    source="https://huggingface.co/docs/transformers/model_doc/vit",
    infer=HUB_FORM.infer,
    entries=HUB_FORM.entries,
    prefixes=("vit.",),
    left_out=(
        (r"decoder\..*", "a decoder of pixels"),
        (r"(pooler|classifier)\..*", "a classification head"),
        (r"embeddings\.mask_token", "used only while pretraining"),
    ),
    spellings=HUB_SPELLINGS,
)


def _named(
    name: str,
    title: str,
    licence: str,
    source: str,
    table: Table = VIT,
    pixels: Pixels | None = None,
    form: EncoderForm | None = None,
) -> Table:
    changes: dict[str, Any] = {"name": name, "title": title, "licence": licence, "source": source}
    if form is not None:
        changes |= {"infer": form.infer, "entries": form.entries}
    return dataclasses.replace(table, **changes, variant_of=table.name, pixels=pixels)


HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))  # pixels in [-1, 1]

TABLES = (
    VIT,
    _named(
        "mae",
        "MAE's image ViT",
        "CC BY-NC 4.0",
        "https://github.com/facebookresearch/mae",
        form=MAE_FORM,
    ),
    _named(
        "dino",
        "DINO's image ViT",
        "Apache-2.0",
        "https://github.com/facebookresearch/dino",
        form=DINO_FORM,
    ),
    _named(
        "endovit",
        "EndoViT (MAE on endoscopic images)",
        "Apache-2.0",
        "https://github.com/DominikBatic/EndoViT",
        pixels=((0.3464, 0.2280, 0.2228), (0.2520, 0.2128, 0.2093)),
        form=MAE_FORM,
    ),
    _named(
        "augreg",
        "a supervised ViT of Google's, such as timm's augreg series",
        "Apache-2.0",
        "Steiner et al., TMLR 2022; https://github.com/huggingface/pytorch-image-models",
        pixels=HALF,
    ),
    VIT_HUB,
    _named(
        "mae_hf",
        "transformers' ViTMAEModel or ViTMAEForPreTraining",
        "CC BY-NC 4.0 by its authors' repository, Apache-2.0 by the hub",
        "https://huggingface.co/facebook/vit-mae-base",
        VIT_HUB,
    ),
    _named(
        "augreg_hf",
        "a supervised ViT of Google's in transformers' names",
        "Apache-2.0",
        "https://huggingface.co/google/vit-base-patch16-224",
        VIT_HUB,
        HALF,
    ),
)
