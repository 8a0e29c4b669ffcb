"""The table that fits a file, and what only the user can say about it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from surgvista_jax.errors import UserError
from surgvista_jax.json_object import parse
from surgvista_jax.models.video_vit import SIZES
from surgvista_jax.weights import tables
from surgvista_jax.weights.files.read import SourceFile
from surgvista_jax.weights.kinds import DECODERS, encoder_of, stacks_of
from surgvista_jax.weights.matching import Expect, Match, match_all
from surgvista_jax.weights.names.table import KINDS, Heads, HeadsUnknown, Pixels, in_words

# Of the encoder; by part; or a rule, such as `heads_rule` makes.
GivenHeads = int | Mapping[str, int] | Heads | None

# Heads of the decoders by width: VideoMAE's for ViT-S, -B, -L and -H.
DECODER_HEADS = {192: 3, 384: 6, 512: 8, 640: 8}


def choose(
    source: SourceFile,
    name: str | None = None,
    kinds: Sequence[str] = KINDS,
    expect: Expect | None = None,
    heads: GivenHeads = None,
) -> Match:
    """Matches a file with the table of that name, or with the one that fits.

    Of tables that read a file as the same model, the first is taken.

    Raises:
        UserError: the table is of another kind; several fit and would make different models, or the
            same of pixels that were normalised differently; the file says that it has other heads
            than those given. Where none fits, the nearest is returned, incomplete.
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
        also = [other for other in map(tables.find, table.also) if other.kind in kinds]
        named = match_all([table, *also], source, expect, lambda table: rule)
        found = next((found for found in named if found.complete), named[0])
        return dataclasses.replace(found, named=True)
    known = [t for t in tables.registry().values() if t.kind in kinds]
    asked = [table for table in known if not table.variant_of]
    matches = match_all(asked, source, expect, lambda table: rule)
    if not matches:
        raise UserError(f"{source.path}: there is no table of kind {' or '.join(kinds)}")
    fitting = [found for found in matches if found.complete]
    most = max((len(found.names) for found in fitting), default=0)
    fitting = [found for found in fitting if len(found.names) == most]
    # Of a damaged file, a table that ignores more must not take what is left.
    missed = [m for m in matches if not m.complete and len(m.names) > most and _rivals(m, fitting)]
    if missed or not fitting:
        # By names alone: no array of a model of another size has the wanted shape.
        nearest = max(missed or matches, key=lambda m: len(m.names) + len(m.misshaped))
        fault = nearest.fault
        if fitting:
            other = f"what {fitting[0].table.name} ignores can be left out by naming it"
            fault = f"{fault}; {other}" if fault else other
        return dataclasses.replace(nearest, nearest=True, fault=fault)
    first = fitting[0]
    if any((f.table.kind, f.config) != (first.table.kind, first.config) for f in fitting):
        each = [f"{f.table.name} ({f.table.title})" for f in fitting]
        raise _several(source, "what the model computes", each)
    # By what normalises their pixels, which no file records.
    alike: dict[Pixels | None, list[str]] = {}
    for table in known:
        if first.table.name in (table.name, table.variant_of) and not table.only_named:
            alike.setdefault(table.pixels, []).append(table.name)
    if len(alike) > 1:
        each = [f"{' or '.join(names)} ({in_words(pixels)})" for pixels, names in alike.items()]
        raise _several(source, "the pixels that the model wants", each)
    return first


def _rivals(missed: Match, fitting: Sequence[Match]) -> bool:
    """Whether a table that a file only just misses is evidence against those that fit it.

    A classifier without its head, which finetuning starts anew, does not, if the encoder is theirs.
    """
    headless = missed.table.kind == "classifier" and not missed.config.classes
    encoder = encoder_of(missed.config)
    return not (headless and any(encoder_of(found.config) == encoder for found in fitting))


def _several(source: SourceFile, differ: str, each: Sequence[str]) -> UserError:
    """The error of a file that several tables fit."""
    return UserError(
        f"{source.path}: several tables fit and differ in {differ}; say which as"
        f" NAME:{source.path}, NAME being one of {', '.join(each)}"
    )


def known_heads(config: Any) -> dict[str, int]:
    """Heads of each part of a configuration."""
    return {part: stack.heads for part, stack in stacks_of(config).items()}


def written_heads(source: SourceFile) -> dict[str, int]:
    """The heads by part that a file written here records; {} for any other file."""
    try:
        heads = parse(source.metadata.get("heads", "{}"))
    except ValueError:
        return {}
    if not isinstance(heads, dict):
        return {}
    parts = ("encoder", *DECODERS)
    return {part: n for part, n in heads.items() if part in parts and type(n) is int and n > 0}


def file_heads(source: SourceFile, heads: GivenHeads = None) -> Heads:
    """(width, depth, part) -> heads: as the file says, else as given, else by size.

    Raises:
        UserError: the file says other heads than those given by name.
    """
    written, given = written_heads(source), _named(heads)
    for part in written.keys() & given.keys():
        if written[part] != given[part]:
            raise UserError(
                f"{source.path}: says that its {part} has {written[part]} attention heads,"
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
        # Not the expected sizes: comparing them comes later, and needs a model to compare.
        if stack is not None and width % stack.heads == 0:
            return stack.heads
        raise HeadsUnknown(
            f"no file says the attention heads of its {part} of width {width} and depth {depth}:"
            " `surgvista weights import --heads=N` makes a folder that does"
        )

    return rule


def _named(heads: GivenHeads) -> dict[str, int]:
    """Heads by part of the model, as far as they are given by name."""
    if isinstance(heads, int):
        return {"encoder": heads}
    return {} if heads is None or callable(heads) else dict(heads)
