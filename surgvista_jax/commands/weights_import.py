"""The command `surgvista weights import`: a file of weights as a folder of ours."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from surgvista_jax import __version__
from surgvista_jax.errors import UserError
from surgvista_jax.models.video_vit import SIZES
from surgvista_jax.weights import folder, tables
from surgvista_jax.weights.choosing import split_spec
from surgvista_jax.weights.files.read import SUFFIXES
from surgvista_jax.weights.heads_option import add_heads, parse_heads
from surgvista_jax.weights.kinds import encoder_of, with_encoder
from surgvista_jax.weights.loading import load
from surgvista_jax.weights.matching import Expect
from surgvista_jax.weights.provenance import SOURCES, as_json, facts, of_loaded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `surgvista weights import`."""
    parser.add_argument(
        "file", metavar="[NAME:]FILE", help=f"{', '.join(SUFFIXES)}; NAME as in --as"
    )
    parser.add_argument(
        "--as",
        dest="table",
        metavar="NAME",
        help="whose names it has, where several tables fit (`surgvista weights inspect FILE`)",
    )
    parser.add_argument("--out", required=True, type=Path, metavar="DIR", help="a new folder")
    parser.add_argument(
        "--size", choices=SIZES, help="what the ViT must be; without it the file decides"
    )
    add_heads(parser)
    parser.epilog = (
        "DIR is then taken by --config.init, --config.teacher.weights and `weights export`. Nothing"
        " is imported in part: a name that is missing or unexpected is an error."
    )


def main(arguments: argparse.Namespace) -> None:
    """Writes the folder and prints how the names matched."""
    spec = named_spec(arguments.file, arguments.table)
    heads = parse_heads(arguments.heads)
    if arguments.out.exists():
        raise UserError(f"--out={arguments.out}: exists already; choose another folder")
    if split_spec(spec)[1].is_dir():
        raise UserError(f"{spec}: is a folder, which needs no import: it can be used as it is")
    expect = None if arguments.size is None else of_size(arguments.size)
    loaded = load(spec, expect=expect, heads=heads)
    match = loaded.match
    assert match is not None  # it is a file, whose names were matched
    origin = {
        "made_by": f"surgvista_jax {__version__}",
        "table": match.table.name,
        "digest": loaded.digest,
        **facts(loaded.metadata),
        SOURCES: as_json(of_loaded("weights", loaded)),
    }
    content = folder.Content(loaded.kind, loaded.config, loaded.params, loaded.batch_stats, origin)
    folder.write(arguments.out, content)
    print(match.text())
    print(f"sha256 {loaded.digest}")
    print(f"written: {arguments.out}")


def of_size(name: str) -> Expect:
    """What `loading.load` is to expect: an encoder of one of the standard sizes."""

    def expect(kind: str, found: Any) -> Any:
        encoder = encoder_of(found)
        if encoder is None:
            return found
        sizes: dict[str, Any] = SIZES[name]
        stack = dataclasses.replace(encoder.transformer, **sizes)
        return with_encoder(found, dataclasses.replace(encoder, transformer=stack))

    return expect


def named_spec(file: str, table: str | None) -> str:
    """`[NAME:]FILE` and `--as NAME` as one."""
    name, path = split_spec(file)
    if table is None:
        return file
    if name not in (None, table):
        raise UserError(f"--as={table}: {file} names another table")
    return f"{tables.find(table).name}:{path}"
