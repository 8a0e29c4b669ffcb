"""A model's outputs for every clip of a dataset, each once, on any number of devices."""

import contextlib
import dataclasses
import functools
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


@dataclasses.dataclass(frozen=True)
class EveryClip:
    """Runs a function over every clip of any dataset; made once, it is compiled once.

    Attributes:
        function: (variables, video uint8 [B, T, H, W, 3]) -> [B, X], a pure function.
        clip: what a clip is.
        loader: how frames are read.
        mesh: the devices.
        batch_size: clips at a time over all devices, which must be able to share them out; rows
            past the last clip are padding, and left out of the result.
    """

    function: Callable[[Any, jax.Array], jax.Array]
    clip: ClipConfig
    loader: LoaderConfig
    mesh: Mesh
    batch_size: int

    @functools.cached_property
    def _apply(self) -> Callable[[Any, dict[str, jax.Array]], dict[str, jax.Array]]:
        def apply(variables: Any, batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
            keys = ("video_index", "frame", "label", "weight")
            values = self.function(variables, batch["video"]).astype(jax.numpy.float32)
            unreadable = batch["unreadable"].sum(1, dtype=jax.numpy.int32)
            kept = {key: batch[key] for key in keys}
            return {"values": values, "unreadable": unreadable, **kept}

        return jax.jit(apply, out_shardings=replicated(self.mesh))

    def __call__(
        self, variables: Any, dataset: Dataset, *, unlabelled: bool = False, title: str = ""
    ) -> Outputs:
        """What the function says of every labelled clip, each once.

        All processes call it, on the mesh that is set.

        Args:
            variables: global arrays.
            dataset: what the clips are of.
            unlabelled: every frame ends a clip, labelled or not.
            title: of the progress bar that appears after ten seconds.

        Raises:
            UserError: what `evaluation_batches` raises.
        """
        batches = evaluation_batches(
            dataset,
            self.clip,
            self.loader,
            batch_size=self.batch_size,
            rows=process_rows(batch_sharding(self.mesh), self.batch_size),
            unlabelled=unlabelled,
        )
        parts: list[dict] = []
        with contextlib.ExitStack() as stack:
            feed = stack.enter_context(Feed(batches, self.mesh, host_keys=("index",)))
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
                computed = self._apply(variables, batch.arrays)
                if pending is not None:  # read while the devices work on the next
                    parts.append(jax.device_get(pending))
                pending = computed
                bar.update()
            parts.append(jax.device_get(pending))
        rows = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        real = rows.pop("weight") > 0
        outputs = Outputs(**{key: value[real] for key, value in rows.items()})
        _warn(outputs, dataset, self.clip)
        return outputs


def _warn(outputs: Outputs, dataset: Dataset, clip: ClipConfig) -> None:
    """Says which videos lack frames: what is said of their clips is worth less."""
    assert outputs.unreadable is not None  # they were just counted
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
