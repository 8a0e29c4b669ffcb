"""The table of a family: how the names in its weight files stand for a model of ours."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from surgvista_jax.errors import UserError
from surgvista_jax.weights.names.entries import Entry

KINDS = ("student", "encoder", "classifier", "teacher", "cnn")

# (width, depth, part of the model) -> attention heads, which no file records.
Heads = Callable[[int, int, str], int]
# Mean and deviation of red, green and blue, in [0, 1].
Pixels = tuple[tuple[float, float, float], tuple[float, float, float]]
Shapes = Mapping[str, tuple[int, ...]]
# Values from 0 to 255 as they are.
RAW: Pixels = ((0.0, 0.0, 0.0), (1 / 255, 1 / 255, 1 / 255))


class HeadsUnknown(UserError):
    """The sizes are not among those that papers name, so the heads must be given."""


class Incomplete(UserError):
    """Part of the model is not in the file, and the rest says what it is.

    Args:
        text: what is not there.
        config: the model as far as it is known.
    """

    def __init__(self, text: str, config: Any):
        super().__init__(text)
        self.config = config


@dataclasses.dataclass(frozen=True, kw_only=True)
class Table:
    """One form of weight files: its names, and the parameters of ours that they make up.

    Attributes:
        name: what a user calls it: `NAME:PATH`.
        title: what it is, for people.
        kind: "student", a pretraining model {encoder, pixel_decoder, feature_decoder?};
            "encoder", a ViT; "classifier", {backbone, norm, head}; "teacher", {encoder};
            "cnn", a convolutional network {params, batch_stats}.
        licence: that of the published checkpoints.
        source: where they are described: an address or a citation.
        infer: (shapes by name, heads) -> the configuration of the model; raises UserError where
            the names do not say it. `heads(width, depth, part)` gives the attention heads, part
            being "encoder", "pixel_decoder" or "feature_decoder".
        entries: configuration -> the correspondence of every parameter.
        prefixes: what may stand before all names, and is then stripped.
        left_out: (regular expression, reason): names that may be ignored, matched in full.
        fixed: regular expression: tables of fixed positions, which some programs save with the
            parameters; they are left out once they are found to be what the model computes.
        spellings: (regular expression, replacement): other releases' names -> those of `entries`.
        pixels: mean and deviation by which its images were normalised, where not by ImageNet's;
            `loading.load_backbone` then lets the patch embedding make up the difference.
        optional: regular expression: names of a decoder that a pretraining model may be without.
        variant_of: a table with the same names; this one is then taken only when named.
        only_named: of a variant of other pixels, why it might have been meant where its like was
            taken unnamed: that is noted, and not asked.
        also: names of tables that are tried where this one was named and does not fit.
    """

    name: str
    title: str
    kind: str
    licence: str
    source: str
    infer: Callable[[Shapes, Heads], Any]
    entries: Callable[[Any], list[Entry]]
    prefixes: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    fixed: str = ""
    spellings: tuple[tuple[str, str], ...] = ()
    optional: str = ""
    variant_of: str = ""
    pixels: Pixels | None = None
    only_named: str = ""
    also: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"kind {self.kind!r} of {self.name} is not one of {', '.join(KINDS)}")


def in_decimals(epsilon: float) -> str:
    """A power of ten as people write it: 1e-6."""
    return f"{epsilon:g}".replace("e-0", "e-")


def in_words(pixels: Pixels | None) -> str:
    """By what a table's images were normalised."""
    if pixels is None:
        return "pixels normalised as ImageNet's"
    if pixels == RAW:
        return "raw pixels from 0 to 255"
    mean, deviation = (", ".join(f"{x:g}" for x in values) for values in pixels)
    return f"pixels minus ({mean}), divided by ({deviation})"
