"""The command `surgvista weights inspect`: what a file or folder of weights holds."""

import argparse
import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

from surgvista_jax.errors import UserError
from surgvista_jax.weights import tables
from surgvista_jax.weights.choosing import file_heads
from surgvista_jax.weights.files.read import SourceFile
from surgvista_jax.weights.files.write import flat
from surgvista_jax.weights.heads_option import add_heads, parse_heads
from surgvista_jax.weights.kinds import described, encoder_of
from surgvista_jax.weights.matching import Match, match_all
from surgvista_jax.weights.names.table import Heads, Table, in_words
from surgvista_jax.weights.place import SPEC, Place, locate, open_place
from surgvista_jax.weights.provenance import as_json, of_run
from surgvista_jax.weights.runs import read_run

_NEAREST = 3  # tables that are shown where none fits


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `surgvista weights inspect`."""
    parser.add_argument(
        "file", metavar=SPEC, help="a file of weights, a run's folder, an imported or a foreign one"
    )
    parser.add_argument("--names", action="store_true", help="every name, and what it becomes")
    parser.add_argument("--json", action="store_true", help="print as JSON")
    add_heads(parser)


def main(arguments: argparse.Namespace) -> None:
    """Prints what was found."""
    place = locate(arguments.file)
    heads = parse_heads(arguments.heads)
    found = folder_facts(place.path) if place.path.is_dir() else file_facts(place, heads)
    if not arguments.names:
        del found["names"]
    print(json.dumps(found, indent=1) if arguments.json else text(found))


def file_facts(place: Place, heads: dict[str, int]) -> dict[str, Any]:
    """What a file holds, as JSON values.

    Args:
        place: the file; its name is that of the only table to look at, or None.
        heads: attention heads by part, where width and depth do not determine them.

    Raises:
        UserError: the file cannot be read.
    """
    with open_place(place) as source:
        asked = [tables.find(place.name)] if place.name else list(tables.registry().values())
        told = file_heads(source, heads)
        rules = {table.name: _Heads(told) for table in asked}
        matches = match_all(asked, source, None, lambda table: rules[table.name])
        fitting = sorted(
            (m for m in matches if m.complete), key=lambda m: (-len(m.names), m.table.variant_of)
        )
        own = [m for m in matches if not m.table.variant_of]
        nearest = sorted(own or matches, key=lambda m: -len(m.names))[: 0 if fitting else _NEAREST]
        first = (fitting or nearest)[0]
        return {
            "path": str(place.path),
            "address": place.address,
            "bytes": source.size,
            "sha256": source.digest,
            "nested": list(source.nested),
            "passed": list(source.passed),
            "others": list(source.others),
            "other": list(source.other),
            "metadata": dict(source.metadata),
            **_amounts({k: (s.shape, s.dtype) for k, s in source.arrays.items()}),
            "fits": [_fact(m, rules[m.table.name]) for m in fitting],
            "nearest": [_fact(m, rules[m.table.name]) for m in nearest],
            "names": _names(source, first),
        }


def folder_facts(path: Path) -> dict[str, Any]:
    """What a run's folder or an imported one holds, as JSON values.

    Raises:
        UserError: as `read_run`.
    """
    content, run = read_run(path)
    leaves = flat(content.params)
    leaves |= {f"batch_stats/{k}": v for k, v in flat(content.batch_stats or {}).items()}
    shapes = {name: (leaf.shape, leaf.dtype.name) for name, leaf in leaves.items()}
    return {
        "path": str(path),
        "bytes": sum(file.stat().st_size for file in run.folder.rglob("*") if file.is_file()),
        "holds": run.title,
        "step": run.step,
        "kind": content.kind,
        "model": _model(content.config),
        "sources": as_json(of_run(run)),
        **_amounts(shapes),
        "names": {name: {"shape": list(s), "dtype": d} for name, (s, d) in shapes.items()},
    }


def text(found: dict[str, Any]) -> str:
    """The facts for a person."""
    amounts = f"{found['arrays']} arrays, {found['numbers']:,} numbers ({found['dtypes']})"
    lines = [f"{found['path']}: {amounts}, {found['bytes'] / 2**20:.1f} MiB"]
    if "holds" in found:
        step = "" if found["step"] is None else f", step {found['step']}"
        lines.append(f"{found['holds']}{step}; kind {found['kind']}: {found['model']}")
        lines += [
            f"  {source['what']}; licence: {source['licence']}" for source in found["sources"]
        ]
    else:
        lines.append(f"sha256 {found['sha256']}")
        if found["nested"]:
            passed = f", not {', '.join(found['passed'])}" if found["passed"] else ""
            lines.append(f"found under {'/'.join(found['nested'])}{passed}")
        elif found["passed"]:
            lines.append(f"not {', '.join(found['passed'])}")
        if found["others"]:
            lines.append(f"another is read by {found['path']}#{found['others'][0]}")
        if found["other"]:
            lines.append(f"beside the arrays: {', '.join(found['other'])}")
        if "table" in found["metadata"]:
            lines.append(f"says itself that its names are those of {found['metadata']['table']}")
        lines += _tables(found)
    if "names" in found:
        for name, entry in found["names"].items():
            ours = f" -> {entry['ours']}" if entry.get("ours") else ""
            lines.append(f"  {name} {entry['dtype']}{entry['shape']}{ours}")
    return "\n".join(lines)


def _tables(found: dict[str, Any]) -> list[str]:
    lines = ["", "fits:" if found["fits"] else "no table fits; the nearest:"]
    pixels = len({fact["pixels"] for fact in found["fits"]}) > 1
    for fact in found["fits"] or found["nearest"]:
        lines.append(f"  {fact['name']:<22}{fact['title']}; kind {fact['kind']}; {fact['licence']}")
        counts = [f"{fact[key]} {title}" for key, title in _COUNTS.items() if fact[key]]
        stripped = f", prefix {fact['prefix']!r} stripped" if fact["prefix"] else ""
        lines.append(f"  {'':<22}{', '.join(counts)}{stripped}")
        if fact["model"]:
            wants = f"; {fact['pixels']}" if pixels and fact["pixels"] else ""
            lines.append(f"  {'':<22}{fact['model']}{wants}")
        if fact["fault"]:
            lines.append(f"  {'':<22}{fact['fault']}")
    if len(found["fits"]) > 1:
        lines.append("Where they differ in model or pixels, say which: NAME:FILE.")
    return lines


_COUNTS = {
    "matched": "names matched",
    "missing": "missing",
    "unexpected": "unexpected",
    "misshaped": "mis-shaped",
    "left_out": "left out",
}


class _Heads:
    """(width, depth, part) -> attention heads; unknown ones do not hide that a table fits."""

    def __init__(self, rule: Heads):
        self.rule = rule
        self.unknown: set[str] = set()

    def __call__(self, width: int, depth: int, part: str) -> int:
        try:
            return self.rule(width, depth, part)
        except UserError:
            self.unknown.add(part)
            return 1


def _fact(found: Match, heads: _Heads) -> dict[str, Any]:
    table: Table = found.table
    model = _model(found.config) if found.config is not None else ""
    if heads.unknown and model:
        model = model.replace(", 1 heads", "") if "encoder" in heads.unknown else model
        model += f"; heads unknown of {', '.join(sorted(heads.unknown))}, give them with --heads"
    return {
        "name": table.name,
        "title": table.title,
        "kind": table.kind,
        "licence": table.licence,
        "source": table.source,
        "variant_of": table.variant_of,
        "model": model,
        "pixels": "" if table.kind == "cnn" else in_words(table.pixels),
        "prefix": found.prefix,
        "matched": len(found.names),
        "missing": len(found.missing),
        "unexpected": len(found.unexpected),
        "misshaped": len(found.misshaped),
        "left_out": len(found.left_out),
        "fault": found.fault,
    }


def _model(config: Any) -> str:
    encoder = encoder_of(config)
    return described(encoder) if encoder is not None else config.architecture


def _amounts(shapes: dict[str, tuple[tuple[int, ...], str]]) -> dict[str, Any]:
    kinds = Counter(dtype for _, dtype in shapes.values())
    return {
        "arrays": len(shapes),
        "numbers": sum(math.prod(shape) for shape, _ in shapes.values()),
        "dtypes": ", ".join(sorted(kinds)),
    }


def _names(source: SourceFile, found: Match) -> dict[str, dict]:
    """Name in the file -> shape, type, and our parameters that it becomes, or why it is ignored."""
    ours = {}
    for entry in found.entries:
        for layer in range(max(1, entry.layers)):
            place = f"[{layer}]" if entry.layers else ""
            for name in entry.named(layer):
                ours[name] = ", ".join(path + place for path in entry.paths)
    becomes = {there: ours[name] for name, there in found.names.items()}
    for name, reason in found.left_out.items():
        becomes[name] = f"left out: {reason}"
    return {
        name: {"shape": list(s.shape), "dtype": s.dtype, "ours": becomes.get(name, "")}
        for name, s in source.arrays.items()
    }
