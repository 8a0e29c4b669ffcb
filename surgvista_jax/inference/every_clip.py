"""What does a model say of every clip of a dataset, each once, on any number of devices?"""

import contextlib
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from tqdm import tqdm

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.labelled import evaluation_batches
from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.training.feed import Feed
from surgvista_jax.training.partition import batch_sharding, process_rows, replicated

_SHOWN_AFTER_SECONDS = 10


class Outputs(NamedTuple):
    """One row a clip, in the order of the dataset, the same on every process.

    Attributes:
        video_index: int32 [N], the number of the video in the dataset.
        frame: int32 [N], the clip's last frame.
        label: int32 [N] or float32 [N, C]; -1 where every frame was asked for.
        values: float32 [N, X], what the function gave.
        unreadable: int32 [N], how many of the clip's frames had to be replaced; None where that is
            not known.
    """

    video_index: np.ndarray
    frame: np.ndarray
    label: np.ndarray
    values: np.ndarray
    unreadable: np.ndarray | None


def make_apply(function: Callable[[Any, jax.Array], jax.Array], mesh: Mesh) -> Callable:
    """Compiles function(variables, video uint8 [B, T, H, W, 3]) -> [B, X] for `over_dataset`.

    Kept by the caller, so that it is compiled once for many evaluations.
    """

    def apply(variables: Any, batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
        keys = ("video_index", "frame", "label", "weight")
        values = function(variables, batch["video"]).astype(jax.numpy.float32)
        unreadable = batch["unreadable"].sum(1, dtype=jax.numpy.int32)
        kept = {key: batch[key] for key in keys}
        return {"values": values, "unreadable": unreadable, **kept}

    return jax.jit(apply, out_shardings=replicated(mesh))


def over_dataset(
    apply: Callable,
    variables: Any,
    dataset: Dataset,
    clip: ClipConfig,
    loader: LoaderConfig,
    *,
    mesh: Mesh,
    batch_size: int,
    unlabelled: bool = False,
    title: str = "",
) -> Outputs:
    """Runs a function from `make_apply` over every labelled clip once; all processes call it.

    Args:
        variables: global arrays.
        batch_size: clips at a time over all devices; rows past the last clip are padding, and left
            out of the result.
        unlabelled: every frame ends a clip, labelled or not.
        title: of the progress bar that appears after ten seconds.

    Raises:
        UserError: what `evaluation_batches` raises.
    """
    rows = process_rows(batch_sharding(mesh), batch_size)
    batches = evaluation_batches(
        dataset, clip, loader, batch_size=batch_size, rows=rows, unlabelled=unlabelled
    )
    parts: list[dict] = []
    with contextlib.ExitStack() as stack:
        feed = stack.enter_context(Feed(batches, mesh, host_keys=("index",)))
        bar = stack.enter_context(
            tqdm(
                total=len(batches),
                desc=title,
                unit="batch",
                delay=_SHOWN_AFTER_SECONDS,
                leave=False,
                disable=jax.process_index() != 0 or not sys.stderr.isatty(),
            )
        )
        pending = None
        while True:
            try:
                batch = feed.take(busy=pending if pending is not None else ())
            except StopIteration:
                break
            computed = apply(variables, batch.arrays)
            if pending is not None:  # read while the devices work on the next
                parts.append(jax.device_get(pending))
            pending = computed
            bar.update()
        parts.append(jax.device_get(pending))
    rows = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    real = rows.pop("weight") > 0
    outputs = Outputs(**{key: value[real] for key, value in rows.items()})
    _warn(outputs, dataset, clip)
    return outputs


def _warn(outputs: Outputs, dataset: Dataset, clip: ClipConfig) -> None:
    """Says which videos lack frames: what is said of their clips is worth less."""
    replaced = int(outputs.unreadable.sum())
    if not replaced or jax.process_index() != 0:
        return
    numbers = np.unique(outputs.video_index[outputs.unreadable > 0])
    names = ", ".join(dataset.videos[number].video for number in numbers[:5])
    more = f" and {len(numbers) - 5} more" if len(numbers) > 5 else ""
    print(
        f"WARNING: {dataset.folder}: {replaced} of {clip.num_frames * len(outputs.frame)} frames of"
        f" clips could not be read and were replaced, in {names}{more}",
        file=sys.stderr,
    )
