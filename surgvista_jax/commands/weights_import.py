"""The command `surgvista weights import`: a file of weights as a folder of ours."""

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from surgvista_jax import __version__
from surgvista_jax.errors import UserError
from surgvista_jax.models.video_vit import SIZES
from surgvista_jax.weights import folder, tables
from surgvista_jax.weights.files.read import SUFFIXES
from surgvista_jax.weights.heads_option import add_heads, parse_heads
from surgvista_jax.weights.hub import FORM
from surgvista_jax.weights.kinds import encoder_of, with_encoder
from surgvista_jax.weights.loading import load
from surgvista_jax.weights.matching import Expect
from surgvista_jax.weights.place import SPEC, Place, is_ours, locate
from surgvista_jax.weights.provenance import SOURCES, as_json, facts, of_loaded


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `surgvista weights import`."""
    parser.add_argument(
        "file",
        metavar=SPEC,
        help=f"{', '.join(SUFFIXES)}, a folder of transformers or DeepSpeed, or {FORM}; NAME as in"
        " --as; KEY where a file holds weights under several",
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
    place = named_place(arguments.file, arguments.table)
    heads = parse_heads(arguments.heads)
    if arguments.out.exists():
        raise UserError(f"--out={arguments.out}: exists already; choose another folder")
    if place.path.is_dir():
        can = "needs no import: it can be used as it is"
        told = can if is_ours(place.path) else "holds no file of weights"
        raise UserError(f"{arguments.file}: is a folder, which {told}")
    expect = None if arguments.size is None else of_size(arguments.size)
    loaded = load(place, expect=expect, heads=heads)
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
    if place.address:
        print(f"from {place.address}")
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


def named_place(file: str, table: str | None) -> Place:
    """Where `[NAME:]FILE` lies, NAME being that of `--as` where it is given."""
    place = locate(file)
    if table is None:
        return place
    if place.name not in (None, table):
        raise UserError(f"--as={table}: {file} names another table")
    return place._replace(name=tables.find(table).name)
