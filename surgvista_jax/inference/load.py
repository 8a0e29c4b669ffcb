"""From weights of any form to a model that answers for clips: `surgvista_jax.load`."""

import dataclasses
import os
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any, TypedDict, Unpack

from surgvista_jax.config import build
from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import listed_classes
from surgvista_jax.inference.classifier import Backbone, usual_clip
from surgvista_jax.inference.model import Model
from surgvista_jax.inference.seen import seen_by
from surgvista_jax.inference.starting_point import StartingPoint, fit_to_clips
from surgvista_jax.inference.trained import CLIP, load_classifier
from surgvista_jax.models.backbones import as_parts
from surgvista_jax.models.heads import POOLS
from surgvista_jax.models.layers import ComputeConfig
from surgvista_jax.weights.adapt import AdaptConfig
from surgvista_jax.weights.choosing import GivenHeads, choose
from surgvista_jax.weights.loading import load_backbone
from surgvista_jax.weights.place import Place, locate, open_place
from surgvista_jax.weights.runs import find_run


class Told(TypedDict, total=False):
    """What the user says of weights that do not say it themselves; None says nothing.

    Attributes:
        num_frames, stride, size: of a clip; a backbone is fitted to another clip than its own, and
            a model with a head keeps its own.
        fps: frames a second of the videos that it was trained on, which `stride` counts.
        classes: names, in the order of the head.
        label_kind: "single", or "multi" where several classes hold at once.
    """

    num_frames: int | None
    stride: int | None
    size: int | None
    fps: float | None
    classes: Sequence[str] | None
    label_kind: str | None


_OF_HEAD = ("classes", "label_kind")


def load(
    weights: str | os.PathLike,
    *,
    pool: str = "",
    dtype: str = "bfloat16",
    heads: GivenHeads = None,
    **told: Unpack[Told],
) -> Model:
    """Reads a model, with its head or the backbone alone.

    Args:
        weights: `[NAME:]FILE[#KEY]` as the commands `predict` and `finetune` take it: a finetuning
            run, a pretraining run, an imported folder, a file of this or another program.
        pool: what of a backbone's tokens are its features: their "mean" (the default) or the
            "class" token. A model with a head has its own.
        dtype: what is computed in, "bfloat16", as the commands do, or "float32".
        heads: attention heads where neither the file nor its size tells them, as `--heads`.
        told: see `Told`.

    Raises:
        UserError: there is nothing that can be read; something told contradicts the weights, or is
            not what it should be.
    """
    spec = os.fspath(weights)
    if unknown := sorted(told.keys() - Told.__annotations__.keys()):
        raise UserError(f"load(…, {unknown[0]}=…): may be {', '.join(Told.__annotations__)}")
    if dtype not in ("bfloat16", "float32"):
        raise UserError(f"dtype={dtype!r}: should be 'bfloat16' or 'float32'")
    if pool not in ("", *POOLS):
        raise UserError(f"pool={pool!r}: should be one of {', '.join(POOLS)}")
    said = {key: value for key, value in told.items() if value is not None}
    fps = said.get("fps", 1.0)
    if not (isinstance(fps, Real) and 0 < float(fps) <= 1e6):
        raise UserError(f"fps={fps!r}: should be a number above 0, and at most 1,000,000")
    place, compute = locate(spec), ComputeConfig(dtype=dtype)
    if not _has_head(place, heads):
        return _backbone(spec, place, pool, compute, heads, said)
    if pool:
        raise UserError(f"pool={pool!r}: {spec} has a head, which pools by itself")
    if "classes" in said:
        said["classes"] = _class_names(said["classes"])
    trained = load_classifier(spec, said, heads, compute)
    meaning, classifier = trained.meaning, trained.classifier
    return Model(
        spec,
        classifier.backbone,
        trained.params,
        classifier=classifier,
        classes=meaning.classes,
        fps=meaning.fps,
        notes=(f"{spec}: {meaning}",),
    )


def _class_names(given: Any) -> tuple[str, ...]:
    if isinstance(given, str) or not all(isinstance(name, str) for name in given):
        raise UserError(f"classes={given!r}: should be a list of names")
    return listed_classes("classes", given)


def _has_head(place: Place, heads: GivenHeads) -> bool:
    """Whether a place holds a classifier, by names and shapes alone."""
    if place.path.is_dir():
        run = find_run(place.path)
        return run.kind == "finetuned" or run.about.get("kind") == "classifier"
    with open_place(place) as source:
        found = choose(source, place.name, heads=heads)
    return found.table.kind == "classifier" and getattr(found.config, "classes", 0) > 0


def _backbone(
    spec: str,
    place: Place,
    pool: str,
    compute: ComputeConfig,
    heads: GivenHeads,
    told: Mapping[str, Any],
) -> Model:
    """A backbone fitted to its clips, as `surgvista features` fits it."""
    for key in _OF_HEAD:
        if key in told:
            raise UserError(f"{key}: {spec} is a backbone without a head, which has no classes")
    model, variables, loaded = load_backbone(place, heads=heads)
    seen = seen_by(spec)
    known = usual_clip(model) if seen is None else seen.clip
    asked = {key: value for key, value in told.items() if key in CLIP}
    values = {**dataclasses.asdict(known), "sampling": "past", "slide": 1, **asked}
    clip = build(ClipConfig, values, "load")
    fps = told.get("fps", None if seen is None else seen.fps)
    if pool == "class" and not model.class_token:
        raise UserError(f"pool='class': {spec} has no class token; take 'mean'")
    start = fit_to_clips(
        StartingPoint(model, clip, as_parts(variables), "", clip_key="num_frames or size"),
        AdaptConfig(),
        pool=pool or "mean",
        keep_norm=True,
    )
    assert start.variables is not None  # they were given
    notes = (loaded.summary(), *loaded.notes, *start.notes)
    backbone = Backbone(start.model, clip, compute)
    return Model(spec, backbone, start.variables, pool=pool or "mean", fps=fps, notes=notes)
