"""Frames that could not be read and were replaced: named, counted, and how many are too many."""

import collections
import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from surgvista_jax.checks import check, check_whole
from surgvista_jax.errors import UserError
from surgvista_jax.json_lines import keep_lines
from surgvista_jax.writing import append_line

_SHOWN = 10  # unreadable frames that are named on the terminal; the file has them all


class TooManyUnreadable(UserError):
    """So many frames could not be read that what is computed of them is worth nothing."""


@dataclasses.dataclass(frozen=True)
class UnreadableLimit:
    """How many frames may be replaced; and no batch may be without a readable one.

    max_share: of the frames.
    min_frames: frames to have seen before the share is judged.
    key: what the user calls the share.
    """

    max_share: float = 0.01
    min_frames: int = 1000
    key: str = "max_unreadable_share"

    def __post_init__(self) -> None:
        check(self, "from 0 to 1", lambda share: 0 <= share <= 1, "max_share")
        check_whole(self, 0, "min_frames")

    def passed(self, replaced: int, seen: int) -> bool:
        """Whether `replaced` of `seen` frames are too many."""
        return seen >= self.min_frames and replaced > self.max_share * seen


USUAL_LIMIT = UnreadableLimit()


class UnreadableFrames:
    """Frames that were replaced because they could not be read, in `unreadable_frames.jsonl`.

    The share is judged over the newest batches that together have `min_frames` frames: data that
    vanish after a day show at once. With several processes each has its own rows, its own file and
    its own share.

    Attributes:
        replaced: frames since the start.

    Args:
        folder: the run's folder.
        limit: how many are too many.
        describe: names a frame by its clip's index and its place in the clip.
        say: shows a line.
    """

    def __init__(
        self,
        folder: Path,
        limit: UnreadableLimit,
        describe: Callable[[int, int], str],
        say: Callable[[str], None],
    ):
        self.replaced = 0
        self._seen = 0
        self._recent: collections.deque[tuple[int, int]] = collections.deque()  # replaced, seen
        self._since_mark = 0
        self._path = folder / own_name("unreadable_frames")
        self._limit = limit
        self._describe = describe
        self._say = say
        self._names: set[str] = set()
        # An earlier start has named these.
        self._names.update(line["frame"] for line in keep_lines(self._path, required=_lacks_frame))

    def see(self, step: int, index: np.ndarray, unreadable: np.ndarray) -> None:
        """Takes in a batch that is about to be trained on: clip indices [b], flags [b, T].

        Raises:
            TooManyUnreadable: the batch should not be trained on.
        """
        count = int(unreadable.sum())
        self._seen += unreadable.size
        self.replaced += count
        self._remember(count, unreadable.size)
        if not count:
            return
        names = []
        for row, place in np.argwhere(unreadable):
            names.append(self._describe(int(index[row]), int(place)))
            self._name(step, names[-1])
        if count == unreadable.size:
            raise TooManyUnreadable(
                f"step {step}: none of the {count} frames of its batch could be read, {names[0]}"
                f" the first; is the dataset still there? They are listed in {self._path}"
            )
        replaced, seen = (sum(numbers) for numbers in zip(*self._recent, strict=True))
        if self._limit.passed(replaced, seen):
            raise TooManyUnreadable(
                f"{replaced} of {seen} frames ({replaced / seen:.1%}) of the last batches could not"
                f" be read, more than {self._limit.key}={self._limit.max_share:.1%}; they are"
                f" listed in {self._path}"
            )
        self._since_mark += count

    def mark(self) -> None:
        """Forgets, for `spoilt`, what was before."""
        self._since_mark = 0

    @property
    def spoilt(self) -> bool:
        """Whether a batch that was taken in without an error since `mark` had replaced frames."""
        return self._since_mark > 0

    def summary(self) -> str | None:
        """One line for the end of the run, None if every frame was readable."""
        if not self.replaced:
            return None
        return (
            f"{self.replaced} of {self._seen} frames could not be read and were replaced"
            f" ({len(self._names)} different ones, listed in {self._path})"
        )

    def _remember(self, count: int, size: int) -> None:
        self._recent.append((count, size))
        seen = sum(size for _, size in self._recent)
        while len(self._recent) > 1 and seen - self._recent[0][1] >= self._limit.min_frames:
            seen -= self._recent.popleft()[1]

    def _name(self, step: int, name: str) -> None:
        if name in self._names:
            return
        self._names.add(name)
        append_line(self._path, {"step": step, "frame": name})
        if len(self._names) <= _SHOWN:
            more = f"; further ones only in {self._path}" if len(self._names) == _SHOWN else ""
            self._say(f"WARNING: unreadable frame {name}, replaced by a neighbour{more}")


def _lacks_frame(values: dict[str, Any]) -> str | None:
    return None if isinstance(values.get("frame"), str) else "'frame' should be text"


def own_name(stem: str) -> str:
    """The name of a .jsonl file that each of several processes has for itself."""
    process = f".{jax.process_index()}" if jax.process_count() > 1 else ""
    return f"{stem}{process}.jsonl"
