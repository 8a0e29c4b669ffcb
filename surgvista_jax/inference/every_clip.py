"""A model's outputs for every clip of a dataset, each once, on any number of devices.

On processors they do not depend on the batch size, to the last bit.
"""

import contextlib
import dataclasses
import functools
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh
from tqdm import tqdm

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.labelled import evaluation_batches
from surgvista_jax.data.batches.loader import BatchLoader, LoaderConfig
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.host_memory import give_back
from surgvista_jax.inference.one_by_one import LEFT, Pieces, clips_at_once, rejoined
from surgvista_jax.inference.own_rows import gathered, own_rows
from surgvista_jax.inference.seen_clips import SeenClips
from surgvista_jax.training import standstill
from surgvista_jax.training.feed import Batches, Feed
from surgvista_jax.training.partition import batch_sharding, process_rows, replicated
from surgvista_jax.training.unreadable import USUAL_LIMIT, UnreadableLimit
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
        batch_size: clips that are read at a time over all devices, which must be able to share them
            out, and computed at a time unless these are processors (`one_by_one`); rows past the
            last clip are padding, and left out of the result.
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

    @property
    def at_once(self) -> int:
        """Clips that `program` is given."""
        return clips_at_once(self.mesh, self.batch_size)

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
        # Several processes keep their rows until the end, instead of waiting after each batch.
        alone = jax.process_count() == 1
        rows = replicated(self.mesh) if alone else batch_sharding(self.mesh)
        return jax.jit(apply, out_shardings=rows, compiler_options=options)

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
        if jax.process_count() > 1:
            return joined(self._of_all(variables, dataset, unlabelled, title))
        return joined(list(self.parts(variables, dataset, unlabelled=unlabelled, title=title)))

    def parts(
        self, variables: Any, dataset: Dataset, *, unlabelled: bool = False, title: str = ""
    ) -> Iterator[Outputs]:
        """As a call of one process, but a batch at a time, as soon as it is computed."""
        batches = self._read(dataset, unlabelled)
        seen = self._seen(dataset, len(batches))
        for part in self.over(variables, batches, total=len(batches), title=title):
            seen.add(part.video_index, part.unreadable)
            yield part
        seen.close()

    def over(
        self, variables: Any, batches: Batches, *, total: int | None = None, title: str = ""
    ) -> Iterator[Outputs]:
        """What the function says of batches that are read in any way, without their padding.

        Args:
            variables: global arrays.
            batches: with the keys of `evaluation_batches`; closed at the end.
            total: how many there are, where that is known.
            title: of the progress bar.
        """
        for padded in self._padded(variables, batches, total, title):
            yield _without_padding(padded)

    def _of_all(
        self, variables: Any, dataset: Dataset, unlabelled: bool, title: str
    ) -> list[Outputs]:
        """The parts, where each process keeps its own rows and those of all are gathered once."""
        batches = self._read(dataset, unlabelled)
        rows, size, number = self._own_rows, self.batch_size, len(batches)
        seen = self._seen(dataset, number)
        window = -(-size // len(rows))  # batches of which this process has as many rows as one has
        own: list[dict[str, np.ndarray]] = []
        for padded in self._padded(variables, batches, number, title):
            own.append(padded)
            if len(own) % window:
                seen.look(_without_padding(padded).unreadable)
            else:
                part = joined([_without_padding(padded) for padded in own[-window:]])
                if len(part.frame) >= size:
                    seen.add(part.video_index, part.unreadable)
        numbers = np.concatenate([rows + size * batch for batch in range(number)])
        found = gathered(_stacked(own), numbers.astype(np.int32))
        # From here on all processes say of each batch what one alone would have said.
        seen, parts = self._seen(dataset, number), []
        for batch in range(number):
            part = _without_padding(
                {name: rows[size * batch : size * (batch + 1)] for name, rows in found.items()}
            )
            seen.add(part.video_index, part.unreadable)
            parts.append(part)
        seen.close()
        return parts

    @property
    def _own_rows(self) -> np.ndarray:
        """Which rows of a batch are this process's."""
        return process_rows(batch_sharding(self.mesh), self.batch_size)

    def _read(self, dataset: Dataset, unlabelled: bool) -> BatchLoader:
        return evaluation_batches(
            dataset,
            self.clip,
            self.loader,
            batch_size=self.batch_size,
            rows=self._own_rows,
            unlabelled=unlabelled,
        )

    def _seen(self, dataset: Dataset, batches: int) -> SeenClips:
        return SeenClips(dataset, self.clip, self.limit, batches * self.batch_size)

    def _padded(
        self, variables: Any, batches: Batches, total: int | None, title: str
    ) -> Iterator[dict[str, np.ndarray]]:
        """As `over`, but with the padding, whose weight is 0; of several processes its own rows."""
        whole = self.at_once == self.batch_size
        with contextlib.ExitStack() as stack:
            source = batches if whole else Pieces(batches, self.mesh)
            feed = stack.enter_context(Feed(source, self.mesh, host_keys=("index", LEFT)))
            bar = stack.enter_context(
                tqdm(
                    total=total,
                    desc=title,
                    unit="batch",
                    delay=_SHOWN_AFTER_SECONDS,
                    leave=False,
                    disable=jax.process_index() != 0 or not sys.stderr.isatty(),
                )
            )
            pieces, done = [], 0
            for rows, left in self._computed(variables, feed):
                pieces.append(rows)
                if not left:
                    bar.update()
                    done += 1
                    standstill.evaluated(done)
                    yield rejoined(pieces)
                    pieces = []

    def _computed(self, variables: Any, feed: Feed) -> Iterator[tuple[dict[str, np.ndarray], int]]:
        """Yields what the program gives, and how many pieces of the batch follow."""
        fetched = jax.device_get if jax.process_count() == 1 else own_rows
        pending: tuple[Any, int] | None = None
        while True:
            try:
                batch = feed.take(busy=pending[0] if pending is not None else ())
            except StopIteration:
                break
            if pending is None:
                with standstill.compiling():  # unless an earlier call has
                    computed = self.program(variables, batch.arrays)
                give_back()  # what compiling took, which no batch needs again
            else:
                computed = self.program(variables, batch.arrays)
                yield fetched(pending[0]), pending[1]  # while the devices work on the next
            pending = computed, int(batch.host.get(LEFT, 0))
        if pending is not None:
            yield fetched(pending[0]), pending[1]


def joined(parts: Sequence[Outputs]) -> Outputs:
    """All rows of some parts, of which there is at least one."""
    found: Outputs = jax.tree.map(lambda *rows: np.concatenate(rows), *parts)
    return found


def _stacked(parts: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _without_padding(padded: dict[str, np.ndarray]) -> Outputs:
    real = padded["weight"] > 0
    return Outputs(**{key: rows[real] for key, rows in padded.items() if key != "weight"})
