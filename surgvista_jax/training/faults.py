"""Steps that are skipped: each is named and counted, and too many in a row end the run."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.training.unreadable import own_name
from surgvista_jax.training.writers import drop_lines_after
from surgvista_jax.writing import append_line


class TooManySkipped(UserError):
    """The parameters are still the last good ones, but training them on leads nowhere."""


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
        self._path = folder / own_name("skipped_steps")
        self._max_in_row = max_in_row
        self._describe = describe
        self._say = say
        self._in_row = 0
        drop_lines_after(self._path, step)

    def see(self, step: int, finite: bool, index: np.ndarray | None) -> None:
        """Takes in one step. Raises TooManySkipped after `max_in_row` skipped in a row."""
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
            raise TooManySkipped(
                f"step {step}: loss or gradient not finite{row}; the parameters are still the last"
                f" good ones, the clips are in {self._path}; a lower learning rate or other data"
                " may help"
            )
