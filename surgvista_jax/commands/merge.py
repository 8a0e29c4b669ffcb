"""The command `surgvista merge`: what machines made with `--part`, as one run makes it."""

import argparse
import importlib
from pathlib import Path

from surgvista_jax.data.storage.manifest import FILES
from surgvista_jax.ownership import add_overwrite
from surgvista_jax.parts.start import merge_of, parts_of
from surgvista_jax.parts.sweep import sweep

# Command -> its option that names the folder. The plan of the parts says with which options the
# command is started again: it takes in what they made, and does what it does after that.
_PARTED = {
    "data convert": "out",
    "data pack": "folder",
    "data check": "folder",
    "features": "out",
    "predict": "out",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, help="the folder that the parts were made in")
    parser.add_argument(
        "--of",
        choices=tuple(_PARTED),
        help="the command whose parts are merged, where the folder has those of several",
    )
    add_overwrite(parser)
    parser.epilog = (
        "Every part has to be there, at its end, and of the same command, options and videos. The"
        " files that come of it are, byte for byte, those of one run without --part; a merge that"
        " was killed goes on with the same command. Nothing is moved before all parts are found"
        " whole."
    )


def main(arguments: argparse.Namespace) -> int:
    """Merges, and returns what the one run would have returned."""
    out = arguments.folder
    command, options = merge_of(out, list(_PARTED), arguments.of)
    if options is None:
        sweep(out, command)
        print(f"{out}: the parts of `surgvista {command}` were merged already")
        return 0
    setattr(options, _PARTED[command], out)
    options.overwrite |= arguments.overwrite
    parts = parts_of(options, out, command, FILES)
    assert parts is not None
    module = importlib.import_module(f"surgvista_jax.commands.{command.replace(' ', '_')}")
    with parts.all_ended():
        status = module.main(options)
    sweep(out, command)
    return status
