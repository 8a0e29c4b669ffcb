"""The command `surgvista export`: a model as a file that runs without this program."""

import argparse
import json
from pathlib import Path

from surgvista_jax.errors import UserError
from surgvista_jax.inference.exporting import (
    EXPORTERS,
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
from surgvista_jax.writing import replacing_all


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `surgvista export`."""
    parser.add_argument(
        "checkpoint", metavar="CHECKPOINT", help=f"a run, an imported folder, or {SPEC}"
    )
    parser.add_argument("--format", required=True, choices=tuple(EXPORTERS))
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.stablehlo|FILE.onnx")
    add_overwrite(parser)
    add_elsewhere(parser)
    parser.epilog = (
        "In go uint8 frames [batch, frames, size, size, 3] of any batch; out come features and, of"
        " a model with a head, probabilities, all in float32. FILE.json beside it says classes,"
        f" clip, rate and digests. StableHLO (jax.export) runs on {', '.join(PLATFORMS)}; ONNX"
        " needs jax2onnx. Each file is run once and compared with the model. There is no"
        " SavedModel: it would need TensorFlow, which this program never imports."
    )


def main(arguments: argparse.Namespace) -> None:
    """Writes the file and its description, both or none."""
    out, form = arguments.out, arguments.format
    if out.suffix != f".{form}":
        raise UserError(f"--out={out}: a name ending in .{form} is needed for --format={form}")
    beside = out.with_name(out.name + ".json")
    owned = in_folder(out.parent, arguments.overwrite)
    owned.check([out, beside])
    start_devices()
    heads, told = parse_heads(arguments.heads), told_of(arguments)
    model = load(arguments.checkpoint, dtype="float32", heads=heads, **told)
    check_exportable(model, form)
    content = EXPORTERS[form](model)
    worst = difference(model, form, content)
    about = description(model, form)
    with replacing_all([out, beside], owned) as (file, described):
        file.write_bytes(content)
        about["sha256"] = sha256_of(file)
        described.write_text(json.dumps(about, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(
        f"{out}: {len(content) / 2**20:.1f} MiB, answers within {worst:.1e} of the model's"
        f" (accepted: {TOLERANCES[form]:g})"
    )
    print(f"{beside}: what goes in and comes out, classes, clip, rate")
