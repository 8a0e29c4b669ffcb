"""The command `surgvista bench weights`: the time and the memory that loading takes.

Each file is loaded in a process of its own, so that no peak is that of another file.
"""

import argparse
import importlib.util
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from surgvista_jax.data.own_process import in_own_process
from surgvista_jax.errors import UserError
from surgvista_jax.models.backbones import BackboneConfig, make_backbone
from surgvista_jax.models.layers import ComputeConfig, TransformerConfig
from surgvista_jax.models.video_vit import LEARNED, SIZES, EncoderConfig
from surgvista_jax.training.devices import start_devices
from surgvista_jax.training.partition import MeshConfig, make_mesh
from surgvista_jax.training.state import abstract_sharded, place
from surgvista_jax.weights import tables
from surgvista_jax.weights.files.read import TORCH
from surgvista_jax.weights.files.write import save
from surgvista_jax.weights.heads_option import add_heads, parse_heads
from surgvista_jax.weights.loading import load_backbone
from surgvista_jax.weights.names.entries import square
from surgvista_jax.weights.place import locate

_TABLE = "mvd"  # an encoder alone, whose names no other table takes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `surgvista bench weights`."""
    parser.add_argument(
        "files",
        nargs="*",
        metavar="[NAME:]FILE",
        help="files of weights; without any, random ones are written in each format",
    )
    parser.add_argument(
        "--size", choices=SIZES, default="base", help="of the random ViT (%(default)s)"
    )
    parser.add_argument(
        "--devices", type=int, metavar="N", help="shard over N simulated devices of the processor"
    )
    parser.add_argument("--json", action="store_true", help="print as JSON")
    add_heads(parser)
    parser.epilog = (
        "Memory is the peak growth of the process while it loads, without libraries; files"
        " that were just written come from the system's cache."
    )


def main(arguments: argparse.Namespace) -> None:
    """Prints a row for each file."""
    if arguments.devices is not None and arguments.devices < 1:
        raise UserError(f"--devices={arguments.devices}: at least 1 is needed")
    heads = parse_heads(arguments.heads)
    for spec in arguments.files:
        if not locate(spec).path.is_file():
            raise UserError(f"{spec}: there is no such file")
    if arguments.devices is None:
        # Here they would hold memory that is to be measured.
        in_own_process("starting the devices", start_devices)
    with tempfile.TemporaryDirectory(prefix="surgvista_weights_") as folder:
        specs = arguments.files or random_files(
            Path(folder), TransformerConfig(**SIZES[arguments.size], attention_bias="qv")
        )
        rows = [
            in_own_process(f"{spec}: loading it", measure, spec, heads, arguments.devices)
            for spec in specs
        ]
    print(json.dumps(rows, indent=1) if arguments.json else text(rows))


def random_files(folder: Path, sizes: TransformerConfig) -> list[str]:
    """Writes the same random encoder in every format that can be written here; their specs."""
    table, config = tables.find(_TABLE), EncoderConfig(sizes)
    rng = np.random.default_rng(0)
    params = {
        path: rng.standard_normal(
            [size or 1 for size in shape], np.float32
        )  # None: any size will do
        for entry in table.entries(config)
        for path, shape in zip(entry.paths, entry.our_shapes, strict=True)
    }
    has_torch = importlib.util.find_spec("torch") is not None
    paths = [
        folder / f"vit.{form}" for form in ("safetensors", "npz", *(["pth"] if has_torch else []))
    ]
    for path in paths:
        save(params, table, config, path)
    if has_torch:
        import torch

        paths.append(folder / "vit_before_torch_1.6.pth")
        state = torch.load(folder / "vit.pth", weights_only=True)
        torch.save(state, paths[-1], _use_new_zipfile_serialization=False)
    return [f"{_TABLE}:{path}" for path in paths]


def measure(spec: str, heads: dict[str, int], devices: int | None) -> dict[str, Any]:
    """Loads a file and shards its parameters over all devices.

    Args:
        spec: `[NAME:]PATH[#KEY]`.
        heads: attention heads by part, where the file does not say them.
        devices: how many devices of the processor to simulate; None: those that there are.

    Returns:
        `file`; `mib`, its size; `seconds` and `peak_mib` of loading it; `peak_over_size` (None
        where the system does not tell the memory of a process); `devices`; `place_seconds`;
        `largest_share` of all parameters that one device holds.
    """
    if devices is not None:
        jax.config.update("jax_platforms", "cpu")
        jax.config.update("jax_num_cpu_devices", devices)
    start_devices()
    found = locate(spec)
    path = found.path
    if path.suffix in TORCH and importlib.util.find_spec("torch") is not None:
        import torch  # noqa: F401  (a library's memory is not that of the weights)
    mesh = make_mesh(MeshConfig(data=1, fsdp=-1))
    size, before = path.stat().st_size, _memory("VmRSS")
    start = time.perf_counter()
    model, variables, _ = load_backbone(found, heads=heads)
    loaded = time.perf_counter()
    peak = _memory("VmHWM")
    placed = place(variables, abstract_sharded(lambda: _initial(model, variables), mesh))
    jax.block_until_ready(placed)
    end = time.perf_counter()
    held = dict.fromkeys(mesh.devices.flat, 0)
    for leaf in jax.tree.leaves(placed):
        for shard in leaf.addressable_shards:
            held[shard.device] += shard.data.nbytes
    grown = None if peak is None or before is None else peak - before
    return {
        "file": path.name,
        "mib": size / 2**20,
        "seconds": loaded - start,
        "peak_mib": None if grown is None else grown / 2**20,
        "peak_over_size": None if grown is None else grown / size,
        "devices": mesh.size,
        "place_seconds": end - loaded,
        "largest_share": max(held.values()) / sum(x.nbytes for x in jax.tree.leaves(placed)),
    }


def text(rows: list[dict[str, Any]]) -> str:
    """The rows as a table."""
    header = ("file", "MiB", "seconds", "peak MiB", "peak/size", "devices", "largest share")
    cells = [header]
    for row in rows:
        memory = ("not told", "here")
        if row["peak_mib"] is not None:
            memory = (f"{row['peak_mib']:.0f}", f"{row['peak_over_size']:.2f}")
        share = f"{row['largest_share']:.1%} in {row['place_seconds']:.1f} s"
        numbers = (f"{row['mib']:.1f}", f"{row['seconds']:.2f}", *memory, str(row["devices"]))
        cells.append((row["file"], *numbers, share))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if i else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in cells
    )


def _initial(model: BackboneConfig, variables: dict) -> dict:
    """The model's variables, boxed with the names of their axes; for their shapes alone."""
    encoder, frames, side = model.encoder, 1, 64
    if encoder is not None:
        # Fixed tables fit any clip, a learned one only its own.
        learned = encoder.positions == LEARNED
        tokens = len(variables["params"]["positions"]) if learned else 4
        frames, side = encoder.tubelet, square(tokens)[0] * encoder.patch
    module = make_backbone(model, ComputeConfig(), model.grid(frames, side, side))
    return dict(module.init(jax.random.key(0), np.zeros((1, frames, side, side, 3)), False))


def _memory(field: str) -> int | None:
    """Bytes in memory now (VmRSS) or at the peak (VmHWM); None where /proc does not say."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(field)), None)
