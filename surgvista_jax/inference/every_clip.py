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
from surgvista_jax.training.unreadable import USUAL_LIMIT, TooManyUnreadable, UnreadableLimit
from surgvista_jax.training.xla_options import options_for

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
        limit: how many frames of a dataset may be unreadable.
        xla: options of the compiler (`compute.xla`) beside those of predictions.
    """

    function: Callable[[Any, jax.Array], jax.Array]
    clip: ClipConfig
    loader: LoaderConfig
    mesh: Mesh
    batch_size: int
    limit: UnreadableLimit = USUAL_LIMIT
    xla: str = ""

    @functools.cached_property
    def program(self) -> Any:
        """(variables, batch of `evaluation_batches`) -> `Outputs` by name and weights, compiled."""

        def apply(variables: Any, batch: dict[str, jax.Array]) -> dict[str, jax.Array]:
            keys = ("video_index", "frame", "label", "weight")
            values = self.function(variables, batch["video"]).astype(jax.numpy.float32)
            unreadable = batch["unreadable"].sum(1, dtype=jax.numpy.int32)
            kept = {key: batch[key] for key in keys}
            return {"values": values, "unreadable": unreadable, **kept}

        options = options_for("prediction", self.xla) or None
        return jax.jit(apply, out_shardings=replicated(self.mesh), compiler_options=options)

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
            Stopped: the run that evaluates was told to stop.
            TooManyUnreadable: a batch without a readable frame, or too few of them in all.
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
        found = _Found(dataset, self.clip, self.limit, len(batches) * self.batch_size)
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
                computed = self.program(variables, batch.arrays)
                if pending is not None:  # read while the devices work on the next
                    found.add(jax.device_get(pending))
                pending = computed
                bar.update()
            found.add(jax.device_get(pending))
        return found.outputs()


@dataclasses.dataclass
class _Found:
    """What was computed of the clips so far, and of how many of their frames there was none.

    Attributes:
        most_clips: how many may come.
    """

    dataset: Dataset
    clip: ClipConfig
    limit: UnreadableLimit
    most_clips: int
    parts: list[dict[str, np.ndarray]] = dataclasses.field(default_factory=list)
    replaced: int = 0

    def add(self, rows: dict[str, np.ndarray]) -> None:
        """Takes in a batch, without its padding. Raises TooManyUnreadable."""
        real = rows["weight"] > 0
        part = {key: value[real] for key, value in rows.items() if key != "weight"}
        self.parts.append(part)
        count, clips = int(part["unreadable"].sum()), len(part["unreadable"])
        self.replaced += count
        if clips and count == clips * self.clip.num_frames:
            raise TooManyUnreadable(
                f"{self.dataset.folder}: none of the {count} frames of a batch of {clips} clips"
                f" could be read, {self._names()}; is the dataset still there?"
            )
        self._judge(self.most_clips)

    def outputs(self) -> Outputs:
        """All of them; what is said of clips that lack frames is worth less, and is told."""
        rows = {key: np.concatenate([part[key] for part in self.parts]) for key in self.parts[0]}
        clips = len(rows["frame"])
        self._judge(clips)
        if self.replaced and jax.process_index() == 0:
            print(
                f"WARNING: {self._told(clips)} and were replaced, {self._names()}", file=sys.stderr
            )
        return Outputs(**rows)

    def _judge(self, clips: int) -> None:
        if self.limit.passed(self.replaced, clips * self.clip.num_frames):
            raise TooManyUnreadable(
                f"{self._told(clips)}, {self._names()}; more than {self.limit.max_share:.1%} of"
                f" unreadable frames are too many ({self.limit.key})"
            )

    def _told(self, clips: int) -> str:
        frames = clips * self.clip.num_frames
        return (
            f"{self.dataset.folder}: {self.replaced} of {frames} frames of clips could not be read"
        )

    def _names(self) -> str:
        """The videos that lack frames."""
        numbers = np.unique(
            np.concatenate([part["video_index"][part["unreadable"] > 0] for part in self.parts])
        )
        names = ", ".join(self.dataset.videos[number].video for number in numbers[:5])
        return f"in {names}" + (f" and {len(numbers) - 5} more" if len(numbers) > 5 else "")
