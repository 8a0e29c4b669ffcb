"""What goes wrong without stopping the run: each fault is named, counted, and has its limit."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.json_lines import keep_lines
from surgvista_jax.training.writers import drop_lines_after
from surgvista_jax.writing import append_line

_SHOWN = 10  # unreadable frames that are named on the terminal; the file has them all


class SkippedSteps:
    """Steps whose loss or gradient was not finite, in `skipped_steps.jsonl`.

    Args:
        folder: the run's folder.
        max_in_row: so many in a row end the run.
        describe: names the clip of an index.
        say: shows a line.
        step: the step that the run starts from; lines beyond it are dropped.
    """

    def __init__(
        self,
        folder: Path,
        max_in_row: int,
        describe: Callable[[int], Any],
        say: Callable[[str], None],
        step: int,
    ):
        self._path = folder / _own_name("skipped_steps")
        self._max_in_row = max_in_row
        self._describe = describe
        self._say = say
        self._in_row = 0
        drop_lines_after(self._path, step)

    def see(self, step: int, finite: bool, index: np.ndarray | None) -> None:
        """Takes in one step. Raises UserError after `max_in_row` skipped ones in a row."""
        if finite:
            self._in_row = 0
            return
        self._in_row += 1
        clips = [str(self._describe(int(number))) for number in index] if index is not None else []
        append_line(self._path, {"step": step, "clips": clips})
        self._say(
            f"WARNING: step {step} skipped, loss or gradient not finite"
            f" ({self._in_row} in a row); its clips: {'; '.join(clips) or 'unnamed'}"
        )
        if self._in_row >= self._max_in_row:
            row = f" {self._in_row} steps in a row (max_bad_steps)" if self._max_in_row > 1 else ""
            raise UserError(
                f"step {step}: loss or gradient not finite{row}; the parameters are still the last"
                f" good ones, the clips are in {self._path}; a lower learning rate or other data"
                " may help"
            )


class UnreadableFrames:
    """Frames that were replaced because they could not be read, in `unreadable_frames.jsonl`.

    With several processes each has its own rows, its own file and its own share.

    Args:
        folder: the run's folder.
        max_share: a larger share of all frames so far ends the run.
        min_frames: frames to have seen before the share is judged.
        describe: names a frame by its clip's index and its place in the clip.
        say: shows a line.
    """

    def __init__(
        self,
        folder: Path,
        max_share: float,
        min_frames: int,
        describe: Callable[[int, int], str],
        say: Callable[[str], None],
    ):
        self.replaced = 0
        self._seen = 0
        self._path = folder / _own_name("unreadable_frames")
        self._max_share = max_share
        self._min_frames = min_frames
        self._describe = describe
        self._say = say
        self._names: set[str] = set()
        # An earlier start has named these.
        self._names.update(line["frame"] for line in keep_lines(self._path, required=_lacks_frame))

    def see(self, step: int, index: np.ndarray, unreadable: np.ndarray) -> None:
        """Takes in one batch: clip indices [b], flags [b, T]. Raises UserError above the share."""
        self._seen += unreadable.size
        for row, place in np.argwhere(unreadable):
            self.replaced += 1
            name = self._describe(int(index[row]), int(place))
            if name in self._names:
                continue
            self._names.add(name)
            append_line(self._path, {"step": step, "frame": name})
            if len(self._names) <= _SHOWN:
                more = f"; further ones only in {self._path}" if len(self._names) == _SHOWN else ""
                self._say(f"WARNING: unreadable frame {name}, replaced by a neighbour{more}")
        share = self.replaced / max(self._seen, 1)
        if self._seen >= self._min_frames and share > self._max_share:
            raise UserError(
                f"{self.replaced} of {self._seen} frames ({share:.1%}) could not be read, more than"
                f" max_unreadable_share={self._max_share:.1%}; they are listed in {self._path}"
            )

    def summary(self) -> str | None:
        """One line for the end of the run, None if every frame was readable."""
        if not self.replaced:
            return None
        return (
            f"{self.replaced} of {self._seen} frames could not be read and were replaced"
            f" ({len(self._names)} different ones, listed in {self._path})"
        )


def _lacks_frame(values: dict[str, Any]) -> str | None:
    return None if isinstance(values.get("frame"), str) else "'frame' should be text"


def _own_name(stem: str) -> str:
    process = f".{jax.process_index()}" if jax.process_count() > 1 else ""
    return f"{stem}{process}.jsonl"
