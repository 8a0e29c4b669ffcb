"""The command `surgvista weights export`: a checkpoint as a file for other programs."""

import argparse
import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from surgvista_jax import __version__
from surgvista_jax.errors import UserError
from surgvista_jax.models.layers import TransformerConfig
from surgvista_jax.models.video_vit import LEARNED
from surgvista_jax.ownership import add_overwrite, in_folder, sha256_of
from surgvista_jax.weights import tables
from surgvista_jax.weights.card import Card, card, read_metrics
from surgvista_jax.weights.choosing import GivenHeads, known_heads
from surgvista_jax.weights.differing import difference
from surgvista_jax.weights.files.write import TENSORS_ALONE, WRITTEN, flat, save_here, to_theirs
from surgvista_jax.weights.folder import Content
from surgvista_jax.weights.heads_option import add_heads, parse_heads
from surgvista_jax.weights.kinds import INSIDE, encoder_of, stacks_of
from surgvista_jax.weights.loading import load
from surgvista_jax.weights.names.table import Table, in_decimals
from surgvista_jax.weights.place import locate
from surgvista_jax.weights.provenance import (
    ABOUT,
    FACTS,
    SOURCES,
    Source,
    as_json,
    of_loaded,
    of_run,
)
from surgvista_jax.weights.runs import Run, read_run
from surgvista_jax.writing import Guard, replacing_all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `surgvista weights export`."""
    parser.add_argument(
        "checkpoint",
        metavar="CHECKPOINT",
        help="a pretraining run (its newest checkpoint, or name one), a finetuning run (its best),"
        " an imported folder, or [NAME:]FILE",
    )
    parser.add_argument(
        "--as",
        dest="table",
        required=True,
        metavar="NAME",
        help=f"whose names the file gets: {', '.join(tables.registry())}",
    )
    parser.add_argument(
        "--out",
        required=True,
        type=Path,
        metavar="FILE",
        help="FILE.safetensors, .npz, .pth, .pt or .bin; a model card is written beside it",
    )
    parser.add_argument(
        "--metrics",
        type=Path,
        metavar="REPORT.json",
        help="what `surgvista evaluate --out` wrote, for the card",
    )
    add_overwrite(parser)
    add_heads(parser)
    parser.epilog = (
        "A name fits where a program that reads the file gets this very model. A pretraining run"
        " fits `surgvista`, with or without a teacher, as a whole, and `mvd` as the encoder alone;"
        " decoders under the names of VideoMAE and its kin have no bias in their projection and"
        " positions that count through the clip. Where a name does not fit, the message says which"
        " do and what they leave out."
    )


def main(arguments: argparse.Namespace) -> None:
    """Writes the file and its card, both or none."""
    out: Path = arguments.out
    if out.suffix not in WRITTEN:
        raise UserError(f"--out={out}: weights are written as {', '.join(WRITTEN)}")
    owned = in_folder(out.parent, arguments.overwrite)
    owned.check([out, card_path(out)])
    table = tables.find(arguments.table)
    metrics = None if arguments.metrics is None else read_metrics(arguments.metrics)
    content, run, sources = read_checkpoint(arguments.checkpoint, parse_heads(arguments.heads))
    chosen, left_out, remarks = chosen_for(content, table, arguments.checkpoint)
    written = Card(
        name=out.name,
        digest="",
        table=table,
        kind=chosen.kind,
        config=chosen.config,
        numbers=sum(leaf.size for leaf in flat(chosen.params).values()),
        run=run,
        sources=sources,
        left_out=left_out,
        metrics=metrics,
    )
    metadata = {
        "made_by": f"surgvista_jax {__version__}",
        "heads": json.dumps(known_heads(chosen.config)),
        SOURCES: json.dumps(as_json(sources)),
    }
    if run is not None and run.config_digest:
        metadata |= {"config_digest": run.config_digest, "step": str(run.step)}
    if run is not None:
        known = {"clip": run.clip, **run.about}
        metadata[ABOUT] = json.dumps({key: known[key] for key in FACTS if known.get(key)})
    write(out, chosen, table, metadata, written, owned)
    if left_out:
        print(f"left out: {', '.join(left_out)}")
    for remark in remarks:
        print(f"WARNING: {remark}")
    print(f"{out}: {table.title} ({table.name}), sha256 {sha256_of(out)}")
    if out.suffix in TENSORS_ALONE:
        print(f"{out.suffix} cannot hold classes, clip, heads and sources; .safetensors can")
    print(f"{card_path(out)}: its model card")


def card_path(out: Path) -> Path:
    """The path of a file's model card."""
    return out.with_name(f"{out.name}.md")


def read_checkpoint(
    checkpoint: str, heads: GivenHeads = None
) -> tuple[Content, Run | None, tuple[Source, ...]]:
    """The parameters of a run, a folder or `[NAME:]FILE`, the run, and what it was made from.

    Raises:
        UserError: they cannot be read; heads are given for a folder, which says its own.
    """
    place = locate(checkpoint)
    if place.path.is_dir():
        if heads:
            raise UserError(f"--heads: {checkpoint} is a folder, which says its heads itself")
        content, run = read_run(place.path)
        return content, run, of_run(run)
    if not place.path.exists():
        raise UserError(f"{place.path}: there is no such folder or file")
    loaded = load(place, heads=heads)
    assert loaded.match is not None  # it is a file, whose names were matched
    origin = {"table": loaded.match.table.name}
    content = Content(loaded.kind, loaded.config, loaded.params, loaded.batch_stats, origin)
    return content, None, of_loaded("weights", loaded)


def chosen_for(
    content: Content, table: Table, where: str
) -> tuple[Content, tuple[str, ...], list[str]]:
    """As much of a model as a table has names for, checked, and the parts that are left out.

    With it comes, in words, what the program that the table is of computes otherwise.

    Raises:
        UserError: its form cannot say what the model is; the tables that can are named.
    """
    try:
        chosen, left_out = select(content, table, where)
        read = check_says_all(chosen, table)
    except UserError as error:
        raise UserError(f"{error}; {_fitting(content, where)}") from None
    return chosen, left_out, _computed_otherwise(chosen.config, read, table)


def _fitting(content: Content, where: str) -> str:
    """The tables under whose names a model can be written, and what each leaves out, in words."""
    whole: list[str] = []
    partly: dict[str, list[str]] = {}
    for table in tables.registry().values():
        try:
            chosen, left_out = select(content, table, where)
            check_says_all(chosen, table)
        except UserError:
            continue
        if left_out:
            partly.setdefault(f"{', '.join(left_out)} left out", []).append(table.name)
        else:
            whole.append(table.name)
    told = [f"{', '.join(whole)} (all of it)"] if whole else []
    told += [f"{', '.join(names)} ({what})" for what, names in partly.items()]
    return f"names that fit: {'; '.join(told)}" if told else "no other program's names fit it"


def select(content: Content, table: Table, where: str) -> tuple[Content, tuple[str, ...]]:
    """As much of a model as a table has names for, and the parts that are left out.

    Raises:
        UserError: the table is for models of another kind.
    """
    if content.kind == table.kind:
        return content, tuple(content.origin.get("left_out", ()))
    params = content.params
    if table.kind == "encoder" and content.kind in INSIDE:
        part = INSIDE[content.kind]
        chosen = Content("encoder", encoder_of(content.config), params[part], None, content.origin)
        return chosen, tuple(name for name in params if name != part)
    if table.kind == "teacher" and content.kind == "encoder":
        return Content("teacher", content.config, {"encoder": params}, None, content.origin), ()
    raise UserError(
        f"--as={table.name}: {table.title} is of kind {table.kind}, and {where} holds a"
        f" {content.kind}"
    )


def check_says_all(content: Content, table: Table) -> Any:
    """Checks that a program which reads the file by these names gets the model that was written.

    Returns:
        the configuration of what it gets, with what only such a program knows.

    Raises:
        UserError: a parameter has no name, or the form of the file means another computation.
    """
    heads = known_heads(content.config)

    def known(width: int, depth: int, part: str) -> int:
        return heads[part]

    # The arrays are made twice, here and when they are saved: nothing is written before they fit.
    leaves = flat(content.params)
    leaves |= {f"batch_stats/{k}": v for k, v in flat(content.batch_stats or {}).items()}
    shapes = {k: v.shape for k, v in to_theirs(leaves, table, content.config).items()}
    made = tables.registry().get(content.origin.get("table", ""))
    if (made.pixels if made else None) != table.pixels:
        raise UserError(
            f"--as={table.name}: a program that reads it as {table.title} normalises pixels in"
            " another way than this model needs"
        )
    read = table.infer(shapes, known)
    if fault := difference(read, content.config):
        raise UserError(
            f"--as={table.name}: {table.title} cannot say what this model is: as such, {fault}"
        )
    return read


def _computed_otherwise(config: Any, read: Any, table: Table) -> list[str]:
    """In what a program differs that no file records: epsilons, the interpolation of positions."""
    remarks = []
    theirs = stacks_of(read)
    for part, stack in stacks_of(config).items():
        ours, other = _epsilons(stack), _epsilons(theirs[part])
        if ours != other and (part != "feature_decoder" or config.feature_width):
            remarks.append(
                f"the epsilon of the layer norms of its {part} is {ours},"
                f" and {table.title} ({table.name}) computes with {other}"
            )
    encoder, other_encoder = encoder_of(config), encoder_of(read)
    if encoder and other_encoder and encoder.positions == LEARNED:
        if encoder.resize != other_encoder.resize:
            remarks.append(
                f"{table.title} ({table.name}) interpolates learned positions in another way"
                f" ({other_encoder.resize}, not {encoder.resize})"
            )
    return remarks


def _epsilons(stack: TransformerConfig) -> str:
    values = (in_decimals(epsilon) for epsilon in (stack.norm_epsilon, stack.last_epsilon))
    return " and ".join(dict.fromkeys(values))


def write(
    out: Path,
    content: Content,
    table: Table,
    metadata: Mapping[str, str],
    written: Card,
    guard: Guard | None = None,
) -> None:
    """Writes the file and its card; what was there is replaced once both are complete.

    Raises:
        UserError: they cannot be written, or the guard refuses; then nothing has changed.
    """
    with replacing_all([out, card_path(out)], guard) as (file, described):
        save_here(content.params, table, content.config, file, metadata, content.batch_stats)
        text = card(dataclasses.replace(written, digest=sha256_of(file)))
        described.write_text(text, encoding="utf-8")
