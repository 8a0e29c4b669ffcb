"""What pretraining takes of a file or folder: the student's start, or the teacher."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from surgvista_jax.models.image_vit import TeacherConfig
from surgvista_jax.models.layers import TransformerConfig
from surgvista_jax.models.masked_autoencoder import MaskedAutoencoderConfig
from surgvista_jax.models.positions import TABLES
from surgvista_jax.models.video_vit import LEARNED, EncoderConfig
from surgvista_jax.weights.adapt import AdaptConfig, adapt_encoder
from surgvista_jax.weights.choosing import heads_rule
from surgvista_jax.weights.kinds import (
    DECODERS,
    StudentConfig,
    encoder_of,
    with_encoder,
    with_program_of,
)
from surgvista_jax.weights.loading import Loaded, encoder_notes, encoder_params, load
from surgvista_jax.weights.names.table import in_decimals


def load_student(
    spec: str | Path, model: MaskedAutoencoderConfig, grid: tuple[int, int, int] | None = None
) -> Loaded:
    """Reads as much of a student as a file holds: all of it, or an encoder fitted to it.

    Sizes of transformers and patches must be the student's. Other differences of an encoder are
    fitted, and each change is one of `notes`: patches of images are inflated by averaging over the
    tubelet; a class token is dropped unless the student has one; learned positions, and the other
    form of fixed ones, are replaced by the student's; a missing final norm starts at ones and
    zeros; a bias of the key is dropped, for it adds the same to all scores of a query.

    Args:
        spec: `[NAME:]PATH`.
        model: the student.
        grid: tokens along (t, h, w) of its clips, on which two forms of positions may be the same.

    Returns:
        `params` with "encoder" and, of a pretraining model, "pixel_decoder" and perhaps
        "feature_decoder" (`config.feature_width` > 0); `config` describes them.

    Raises:
        UserError: as `load`.
    """
    wanted = model.video_encoder

    def expect(kind: str, found: Any) -> Any:
        if found is None:
            return {"student": StudentConfig(model), "classifier": None}.get(kind, wanted)
        given = encoder_of(found)
        assert given is not None  # each of `kinds` has one
        encoder = _fittable(wanted, given)
        if kind != "student":
            return with_encoder(found, encoder)
        decoders: dict[str, Any] = {
            part: _with_key_bias(getattr(model, part), getattr(found.model, part))
            for part in DECODERS
        }
        student = StudentConfig(dataclasses.replace(model, **decoders), found.feature_width)
        try:
            return with_encoder(student, encoder)
        except ValueError:  # the file's positions cannot code the widths of these decoders
            return student

    kinds = ("student", "encoder", "classifier", "teacher")
    loaded = load(spec, kinds=kinds, expect=expect, heads=heads_rule(like=StudentConfig(model)))
    given = encoder_of(loaded.config)
    assert given is not None
    encoder, notes = _fitted(given, encoder_params(loaded), wanted, grid)
    params = {"encoder": encoder}
    config: EncoderConfig | StudentConfig = wanted
    if loaded.kind == "student":
        params |= {part: loaded.params[part] for part in DECODERS if part in loaded.params}
        for part in params.keys() - {"encoder"}:
            params[part] = _without_key_bias(params[part], getattr(model, part))
        config = StudentConfig(model, loaded.config.feature_width)
    kind = "student" if loaded.kind == "student" else "encoder"
    if loaded.kind != "student":  # all of whose parts are taken
        notes = encoder_notes(loaded) + notes
    return dataclasses.replace(loaded, kind=kind, config=config, params=params, notes=notes)


def load_teacher(spec: str | Path, teacher: TeacherConfig) -> Loaded:
    """Reads a teacher: `params` is {"encoder": …}.

    An image ViT in another family's form, or a finetuned one, does as well: its class token takes
    over its position, and its final norm is left out, for the features of the last block are what
    is learned from; `notes` says so.

    Returns:
        `config` with the epsilon and the interpolation of the file's own program.

    Raises:
        UserError: as `load`; the file holds no image ViT of the teacher's sizes.
    """
    wanted = teacher.encoder

    def expect(kind: str, found: Any) -> Any:
        if found is None:
            return None if kind == "classifier" else wanted
        encoder, changed = encoder_of(found), wanted
        if encoder is not None:
            changed = with_program_of(wanted, encoder)
        if encoder is not None and encoder.class_token:
            changed = dataclasses.replace(
                changed, class_position=encoder.class_position, norm=encoder.norm
            )
        return with_encoder(found, changed)

    kinds = ("teacher", "encoder", "classifier")
    loaded = load(spec, kinds=kinds, expect=expect, heads=heads_rule(like=wanted))
    params, notes = _with_whole_class_token(encoder_params(loaded)), encoder_notes(loaded)
    if params.pop("norm", None) is not None:
        notes += ("its final norm is left out",)
    given = encoder_of(loaded.config)
    assert given is not None  # each of `kinds` has one
    if given.transformer.norm_epsilon != teacher.transformer.norm_epsilon:
        epsilon = in_decimals(given.transformer.norm_epsilon)
        notes += (f"its layer norms' epsilon is {epsilon}, as in its own program",)
    config = with_program_of(wanted, given)
    return dataclasses.replace(
        loaded, kind="teacher", config=config, params={"encoder": params}, notes=notes
    )


def _fittable(wanted: EncoderConfig, found: EncoderConfig) -> EncoderConfig:
    """What a file may hold for `wanted` to be made of it: `found`, where it differs in no size."""
    if found.transformer.width != wanted.transformer.width:
        return wanted
    wanted = with_program_of(wanted, found)
    return dataclasses.replace(
        wanted,
        transformer=_with_key_bias(wanted.transformer, found.transformer),
        tubelet=1 if found.tubelet == 1 else wanted.tubelet,
        positions=found.positions,
        class_token=wanted.class_token or found.class_token,
        class_position=found.class_position,
        norm=found.norm,
    )


def _with_key_bias(wanted: TransformerConfig, found: TransformerConfig) -> TransformerConfig:
    """`wanted`, with a bias of the key where only that is found besides."""
    both = (wanted.attention_bias, found.attention_bias)
    return dataclasses.replace(wanted, attention_bias="qkv") if both == ("qv", "qkv") else wanted


def _fitted(
    found: EncoderConfig,
    params: dict,
    wanted: EncoderConfig,
    grid: tuple[int, int, int] | None,
) -> tuple[dict, tuple[str, ...]]:
    """An encoder's parameters as `wanted` has them, and what was changed, in words."""
    notes = []
    if found.tubelet != wanted.tubelet:
        notes.append(
            f"its patches of images are inflated to {wanted.tubelet} frames, which they average"
        )
    if found.positions == LEARNED:
        notes.append(f"its learned positions are replaced by fixed ones ({wanted.positions})")
    elif not _same_positions(found, wanted, grid):
        notes.append(
            f"WARNING: it was trained with {found.positions} positions, and the student has"
            f" {wanted.positions} ones (config.model.positions)"
        )
    if found.class_token and not wanted.class_token:
        notes.append("its class token is dropped")
    if found.transformer.attention_bias != wanted.transformer.attention_bias:
        notes.append("its biases of the keys are dropped, which changes no attention")
    epsilons = [in_decimals(config.transformer.norm_epsilon) for config in (found, wanted)]
    if epsilons[0] != epsilons[1]:
        notes.append(
            f"its layer norms' epsilon was {epsilons[0]}, and the student's is {epsilons[1]}"
            " (config.model.encoder.norm_epsilon)"
        )
    if not found.norm:
        notes.append("it has no final norm: that starts at ones and zeros")
    if wanted.class_token:
        params = _with_whole_class_token(params)
    _, fitted = adapt_encoder(
        found,
        params,
        clip=(wanted.tubelet, wanted.patch, wanted.patch),
        adapt=AdaptConfig("average", wanted.positions, wanted.tubelet),
        keep_class_token=wanted.class_token,
        keep_norm=True,
    )
    assert fitted is not None
    params = _without_key_bias(fitted, wanted.transformer)
    if not found.norm:
        width = wanted.transformer.width
        params["norm"] = {
            "scale": np.ones(width, np.float32),
            "bias": np.zeros(width, np.float32),
        }
    return params, tuple(notes)


def _same_positions(
    found: EncoderConfig, wanted: EncoderConfig, grid: tuple[int, int, int] | None
) -> bool:
    """Whether two forms of fixed positions are one table on a grid; if unknown, on some grid."""
    forms, width = (found.positions, wanted.positions), wanted.transformer.width
    if forms[0] == forms[1] or grid is None:
        return forms[0] == forms[1] or set(forms) == {"flat", "stretched"}
    return np.array_equal(TABLES[forms[0]](grid, width), TABLES[forms[1]](grid, width))


def _with_whole_class_token(params: dict) -> dict:
    """A copy whose class token takes over its position."""
    params = dict(params)
    position = params.pop("class_position", None)
    if position is not None:
        params["class_token"] = params["class_token"] + position
    return params


def _without_key_bias(params: dict, wanted: TransformerConfig) -> dict:
    """A copy without the biases of the keys in its blocks, where `wanted` has none."""
    if wanted.attention_bias == "qkv":
        return dict(params)
    blocks = params["transformer"]["blocks"]
    attention = {name: leaf for name, leaf in blocks["attention"].items() if name != "k_bias"}
    return {**params, "transformer": {"blocks": {**blocks, "attention": attention}}}
