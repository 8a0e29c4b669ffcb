"""Which table fits a file, and what only the user can say about it?"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from surgvista_jax.errors import UserError
from surgvista_jax.models.video_vit import SIZES
from surgvista_jax.weights import tables
from surgvista_jax.weights.files import SourceFile
from surgvista_jax.weights.kinds import StudentConfig, encoder_of
from surgvista_jax.weights.matching import Expect, Match, match
from surgvista_jax.weights.tables import KINDS, Heads, HeadsUnknown

GivenHeads = int | Mapping[str, int] | None

# Heads of the decoders by width: VideoMAE's for ViT-S, -B, -L and -H.
DECODER_HEADS = {192: 3, 384: 6, 512: 8, 640: 8}


def split_spec(spec: str | Path) -> tuple[str | None, Path]:
    """`[NAME:]PATH` as (name or None, path). A path that exists is taken whole.

    Raises:
        UserError: what stands before the colon is no table.
    """
    text = str(spec)
    name, colon, rest = text.partition(":")
    if Path(text).exists() or not colon or "/" in name:
        return None, Path(text)
    return tables.find(name).name, Path(rest)


def choose(
    source: SourceFile,
    name: str | None = None,
    kinds: Sequence[str] = KINDS,
    expect: Expect | None = None,
    heads: GivenHeads = None,
) -> Match:
    """Meets a file with the table of that name, or with the one that fits.

    Tables that make the same parameters of a file are as good as each other: the first is taken.

    Raises:
        UserError: the table is of another kind; several fit and would make different models. Where
            none fits, the nearest is returned, incomplete.
    """
    if name is None and (written := source.metadata.get("table")) in tables.registry():
        name = written  # a file of our own says what it is
    if name is not None:
        table = tables.find(name)
        if table.kind not in kinds:
            raise UserError(
                f"{source.path}: {name} is of kind {table.kind}, wanted is {' or '.join(kinds)}"
            )
        return match(table, source, expect, heads_rule(heads))
    candidates = [t for t in tables.registry().values() if t.kind in kinds and not t.variant_of]
    matches = [match(t, source, expect, heads_rule(heads)) for t in candidates]
    fitting = [found for found in matches if found.complete]
    nearest = max(matches, key=lambda found: len(found.names), default=None)
    if nearest is None:
        raise UserError(f"{source.path}: there is no table of kind {' or '.join(kinds)}")
    most = max((len(found.names) for found in fitting), default=0)
    if not fitting or len(nearest.names) > most:
        # Of a damaged file, a table that ignores more must not take what is left.
        fault = nearest.fault
        if fitting:
            other = f"what {fitting[0].table.name} ignores can be left out by naming it"
            fault = f"{fault}; {other}" if fault else other
        return dataclasses.replace(nearest, nearest=True, fault=fault)
    fitting = [found for found in fitting if len(found.names) == most]
    first = fitting[0]
    if any((f.table.kind, f.config) != (first.table.kind, first.config) for f in fitting):
        several = ", ".join(f"{f.table.name} ({f.table.title})" for f in fitting)
        raise UserError(
            f"{source.path}: several tables fit and differ in what the model computes; say which as"
            f" NAME:{source.path}, NAME being one of {several}"
        )
    return first


def named_heads(heads: GivenHeads) -> dict[str, int]:
    """Heads by part of the model."""
    return {"encoder": heads} if isinstance(heads, int) else dict(heads or {})


def known_heads(config: Any) -> dict[str, int]:
    """Heads of each part of a configuration."""
    parts = {}
    if isinstance(config, StudentConfig):
        decoders = ("pixel_decoder", "feature_decoder")
        parts = {part: getattr(config.model, part).heads for part in decoders}
    encoder = encoder_of(config)
    return parts if encoder is None else {"encoder": encoder.transformer.heads} | parts


def heads_rule(heads: GivenHeads) -> Heads:
    """(width, depth, part) -> heads: of the sizes that papers name, or as given."""
    given = named_heads(heads)

    def rule(width: int, depth: int, part: str) -> int:
        if part != "encoder" and width in DECODER_HEADS:
            return DECODER_HEADS[width]
        for size in SIZES.values():
            if part == "encoder" and (size["width"], size["depth"]) == (width, depth):
                return size["heads"]
        if given.get(part):
            return given[part]
        raise HeadsUnknown(
            f"no file tells the attention heads of its {part} of width {width} and depth {depth}:"
            " say them, or the model's configuration"
        )

    return rule
