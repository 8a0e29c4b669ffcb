"""The command `surgvista export`: a model as a file that runs without this program."""

import argparse
import contextlib
import json
import os
from pathlib import Path

from surgvista_jax.errors import UserError
from surgvista_jax.inference.exporting import (
    EXPORTERS,
    IN_FOLDERS,
    PLATFORMS,
    TOLERANCES,
    check_exportable,
    description,
    difference,
)
from surgvista_jax.inference.load import load
from surgvista_jax.inference.weights_option import add_elsewhere, told_of
from surgvista_jax.ownership import add_overwrite, in_folder, sha256_of
from surgvista_jax.training.devices import start_devices
from surgvista_jax.weights.heads_option import parse_heads
from surgvista_jax.weights.place import SPEC
from surgvista_jax.writing import new_folder, replacing_all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `surgvista export`."""
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT", help=f"a run, an imported folder, or {SPEC}"
    )
    parser.add_argument("--format", required=True, choices=tuple(EXPORTERS))
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.FORMAT")
    add_overwrite(parser)
    add_elsewhere(parser)
    parser.epilog = (
        "In go uint8 frames [batch, frames, size, size, 3] of any batch; out come features and, of"
        " a model with a head, probabilities, all in float32. FILE.json beside it says classes,"
        f" clip, rate and digests. StableHLO (jax.export) runs on {', '.join(PLATFORMS)}; ONNX"
        " needs jax2onnx; a SavedModel, which is a folder that is never replaced, TensorFlow. Each"
        " is run once and compared with the model before it takes its place."
    )


def main(arguments: argparse.Namespace) -> None:
    """Writes the file or folder, and its description."""
    out, form = arguments.out, arguments.format
    if out.suffix != f".{form}":
        raise UserError(f"--out={out}: a name ending in .{form} is needed for --format={form}")
    beside = out.with_name(out.name + ".json")
    owned = in_folder(out.parent, arguments.overwrite)
    in_folder_of_its_own = form in IN_FOLDERS
    owned.check([beside] if in_folder_of_its_own else [out, beside])
    if in_folder_of_its_own and os.path.lexists(out):
        raise UserError(f"{out}: is there already, and a folder is never replaced; take another")
    start_devices()
    heads, told = parse_heads(arguments.heads), told_of(arguments)
    model = load(arguments.checkpoint, dtype="float32", heads=heads, **told)
    check_exportable(model, form)
    about = description(model, form)
    with contextlib.ExitStack() as written:
        if in_folder_of_its_own:
            (described,) = written.enter_context(replacing_all([beside], owned))
            place = written.enter_context(new_folder(out))
        else:
            place, described = written.enter_context(replacing_all([out, beside], owned))
        EXPORTERS[form](model, place)
        worst = difference(model, form, place)
        files = [place] if place.is_file() else sorted(p for p in place.rglob("*") if p.is_file())
        size = sum(file.stat().st_size for file in files)
        digests = {file.relative_to(place).as_posix(): sha256_of(file) for file in files}
        about["sha256"] = digests if in_folder_of_its_own else digests["."]
        described.write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(
        f"{out}: {size / 2**20:.1f} MiB, answers within {worst:.1e} of the model's"
        f" (accepted: {TOLERANCES[form]:g})"
    )
    print(f"{beside}: what goes in and comes out, classes, clip, rate")
