"""Which table fits a file, and what only the user can say about it?"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from surgvista_jax.errors import UserError
from surgvista_jax.models.video_vit import SIZES
from surgvista_jax.weights import tables
from surgvista_jax.weights.files import SourceFile
from surgvista_jax.weights.kinds import DECODERS, stacks_of
from surgvista_jax.weights.matching import Expect, Match, match
from surgvista_jax.weights.tables import KINDS, Heads, HeadsUnknown

# Of the encoder; by part; or a rule, such as `heads_rule` makes.
GivenHeads = int | Mapping[str, int] | Heads | None

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
        UserError: the table is of another kind; several fit and would make different models; the
            file says that it has other heads than those given. Where none fits, the nearest is
            returned, incomplete.
    """
    rule = file_heads(source, heads)
    if name is None and (written := source.metadata.get("table")) in tables.registry():
        name = written  # a file of our own says what it is
    if name is not None:
        table = tables.find(name)
        if table.kind not in kinds:
            raise UserError(
                f"{source.path}: {name} is of kind {table.kind}, wanted is {' or '.join(kinds)}"
            )
        return match(table, source, expect, rule)
    candidates = [t for t in tables.registry().values() if t.kind in kinds and not t.variant_of]
    matches = [match(t, source, expect, rule) for t in candidates]
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


def known_heads(config: Any) -> dict[str, int]:
    """Heads of each part of a configuration."""
    return {part: stack.heads for part, stack in stacks_of(config).items()}


def written_heads(source: SourceFile) -> dict[str, int]:
    """What a file that we wrote says of the heads of its parts; {} of any other."""
    try:
        heads = json.loads(source.metadata.get("heads", "{}"))
    except ValueError:
        return {}
    if not isinstance(heads, dict):
        return {}
    parts = ("encoder", *DECODERS)
    return {part: n for part, n in heads.items() if part in parts and type(n) is int and n > 0}


def file_heads(source: SourceFile, heads: GivenHeads = None) -> Heads:
    """(width, depth, part) -> heads: as the file says itself, else as given, else by size.

    Raises:
        UserError: the file says otherwise than what is given by name.
    """
    written, given = written_heads(source), _named(heads)
    for part in written.keys() & given.keys():
        if written[part] != given[part]:
            raise UserError(
                f"{source.path}: says itself that its {part} has {written[part]} attention heads,"
                f" not {given[part]}"
            )
    rule = heads_rule(heads)
    return lambda width, depth, part: written.get(part) or rule(width, depth, part)


def heads_rule(heads: GivenHeads = None, like: Any = None) -> Heads:
    """(width, depth, part) -> heads: as given, of a model of these sizes, or of papers' sizes.

    Args:
        heads: of the encoder or by part; a rule is returned as it is.
        like: the configuration of a model that is expected.
    """
    if callable(heads):
        return heads
    given, stacks = _named(heads), stacks_of(like)

    def rule(width: int, depth: int, part: str) -> int:
        if part in given:
            return given[part]
        stack = stacks.get(part)
        if stack is not None and (stack.width, stack.depth) == (width, depth):
            return stack.heads
        if part != "encoder" and width in DECODER_HEADS:
            return DECODER_HEADS[width]
        for size in SIZES.values():
            if part == "encoder" and (size["width"], size["depth"]) == (width, depth):
                return size["heads"]
        # Not the expected sizes: whoever compares them finds that, and needs a model to compare.
        if stack is not None and width % stack.heads == 0:
            return stack.heads
        raise HeadsUnknown(
            f"no file tells the attention heads of its {part} of width {width} and depth {depth}:"
            " say them, or the model's configuration"
        )

    return rule


def _named(heads: GivenHeads) -> dict[str, int]:
    """Heads by part of the model, as far as they are given by name."""
    if isinstance(heads, int):
        return {"encoder": heads}
    return {} if heads is None or callable(heads) else dict(heads)
