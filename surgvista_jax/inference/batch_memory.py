"""Does a batch of clips fit onto the devices, before a model's parameters are put there?"""

import argparse
import dataclasses
from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from jax.sharding import Mesh

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.inference.one_by_one import clips_at_once
from surgvista_jax.training import fits_devices
from surgvista_jax.training.memory import need_forward, size_of
from surgvista_jax.training.partition import RULES, num_shares
from surgvista_jax.training.state import abstract_sharded


def add_batch_size(parser: argparse.ArgumentParser) -> None:
    """Adds the option whose value, where nobody says it, is `usual_batch`."""
    parser.add_argument(
        "--batch-size",
        type=int,
        help="clips at a time (32; on processors, which compute them one by one, 4)",
    )


def add_check_memory(parser: argparse.ArgumentParser) -> None:
    """Adds the option by which `check_batch` is left out."""
    parser.add_argument(
        "--check-memory",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="refuse a batch that clearly cannot fit",
    )


def usual_batch(mesh: Mesh, elsewhere: int = 32) -> int:
    """Clips at a time where nobody says it: 4 a processor, `elsewhere` on all other devices.

    A processor computes them one by one, however many are read at a time.
    """
    return 4 * mesh.size if mesh.devices.flat[0].platform == "cpu" else elsewhere


def check_batch(
    function: Callable[[Any, jax.Array], jax.Array],
    init: Callable[[], Any],
    clip: ClipConfig,
    batch_size: int,
    mesh: Mesh,
    key: str,
) -> str | None:
    """What to say of the memory that a batch needs without gradients; None where it fits.

    Args:
        function: as of `EveryClip`.
        init: makes its variables, boxed; only their shapes are asked for.
        clip: what it sees.
        batch_size: clips at a time over all devices.
        mesh: the devices.
        key: where the user gives the batch size.

    Raises:
        UserError: it clearly cannot fit.
    """
    available = fits_devices.device_memory(mesh)
    if available is None:
        return None
    video = jax.ShapeDtypeStruct((1, clip.num_frames, clip.size, clip.size, 3), jnp.uint8)
    with jax.set_mesh(mesh), nn.logical_axis_rules(RULES):
        at_once = clips_at_once(mesh, batch_size)
        need = need_forward(function, abstract_sharded(init, mesh), video, at_once, mesh)
    if at_once < batch_size:  # the others wait as bytes, those that are read meanwhile too
        need = dataclasses.replace(
            need,
            frozen=need.total,
            per_clip=2.0 * size_of(video),
            clips=batch_size / num_shares(mesh),
        )
    return fits_devices.forward_fits(need, available, f"{key}={batch_size}")
