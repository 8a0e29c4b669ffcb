"""The command `surgvista bench digests`: the seconds that the digests of a checkpoint take."""

import argparse
import json
import time

import jax
import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.training.devices import start_devices
from surgvista_jax.training.digests import check_arrays

_TRIES = 3
_SHAPE = (2048, 512)  # of an array: 4 MiB of float32, about those of a ViT-B's blocks


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `surgvista bench digests`."""
    parser.add_argument(
        "--mib", type=int, default=1024, help="of float32 arrays to digest (%(default)d)"
    )
    parser.add_argument("--json", action="store_true", help="print as JSON")
    parser.epilog = (
        "So much is added to each save and each start of a run, for each GiB of parameters,"
        " moments and running mean together; config.checkpoint.digests=false leaves it out."
    )


def main(arguments: argparse.Namespace) -> None:
    """Prints the seconds for each GiB."""
    if not 1 <= arguments.mib <= 2**20:
        raise UserError(f"--mib={arguments.mib}: should be from 1 to {2**20}")
    start_devices()
    row = measure(arguments.mib)
    if arguments.json:
        print(json.dumps(row))
        return
    print(
        f"{row['seconds_per_gib']:.2f} s for each GiB of float32 on {row['device']}"
        f" ({row['mib']} MiB, the fastest of {_TRIES}); whether all is finite alone:"
        f" {row['finite_seconds_per_gib']:.2f} s"
    )


def measure(mib: int) -> dict[str, float | int | str]:
    """Digests random arrays of so many MiB as a save does.

    Returns:
        `device`, `mib`, `seconds_per_gib`, and `finite_seconds_per_gib` without digests.
    """
    rng = np.random.default_rng(0)
    count = max(1, mib * 2**20 // (4 * _SHAPE[0] * _SHAPE[1]))
    tree = [jax.device_put(rng.standard_normal(_SHAPE, np.float32)) for _ in range(count)]
    gib = sum(array.nbytes for array in tree) / 2**30
    return {
        "device": tree[0].devices().pop().device_kind,
        "mib": round(gib * 1024),
        "seconds_per_gib": _fastest(tree, True) / gib,
        "finite_seconds_per_gib": _fastest(tree, False) / gib,
    }


def _fastest(tree: list[jax.Array], hashed: bool) -> float:
    check_arrays(tree[:1], hashed)  # compiles
    seconds = []
    for _ in range(_TRIES):
        start = time.perf_counter()
        check_arrays(tree, hashed)
        seconds.append(time.perf_counter() - start)
    return min(seconds)
