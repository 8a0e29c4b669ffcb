"""A run on the terminal: a bar, or a line for every line of metrics; and the time that is left."""

import contextlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from tqdm import tqdm

from surgvista_jax.training.durations import in_words
from surgvista_jax.training.time_left import TimeLeft

MODES = ("auto", "bar", "lines", "none")
# The first estimate is told after so many measured steps and seconds, if so much is left.
_MEASURED_STEPS, _MEASURED_SECONDS, _WORTH_TELLING = 5, 2.0, 10.0


class Progress:
    """A context manager; everything goes to stderr.

    A terminal that is gone, or a pipe whose reader is, ends no run: what it would show is lost.

    Args:
        mode: "bar", "lines", "none", or "auto": a bar where stderr is a terminal, else lines.
        time_left: of the run, which counts its steps by it.
        active: whether this process shows anything but warnings.
    """

    def __init__(self, mode: str, time_left: TimeLeft, active: bool):
        if mode == "auto":
            mode = "bar" if sys.stderr.isatty() else "lines"
        self._mode = mode if active else "none"
        self.time_left = time_left
        self._last = time_left.last
        self._told = False
        self._bar = _Bar(
            total=time_left.last,
            initial=time_left.done,
            unit="step",
            dynamic_ncols=True,
            bar_format="{n_fmt}/{total_fmt} {bar} {time_left} left{postfix}",
            file=sys.stderr,
            disable=self._mode != "bar",
        )
        self._bar.time_left = time_left

    def step(self) -> None:
        """Counts a finished step."""
        self.time_left.step()
        with _whoever_looks():
            self._bar.update()
        self._tell_once()

    def line(self, step: int, values: Mapping[str, float | None]) -> None:
        """Shows the values of a line of metrics."""
        shown = [f"{name} {_short(value)}" for name, value in values.items()]
        with _whoever_looks():
            self._bar.values = shown
            self._bar.refresh()
        if self._mode == "lines":
            left = self.time_left.seconds()
            said = "" if left is None or step == self._last else f", {self._in_words(left)} left"
            self.say(f"step {step}/{self._last}{said}  {'  '.join(shown)}")

    def say(self, text: str) -> None:
        """A line of its own, above the bar if there is one."""
        with _whoever_looks():
            tqdm.write(text, file=sys.stderr)

    def _in_words(self, seconds: float) -> str:
        """Seconds, and what they do not count."""
        return " and ".join(filter(None, (in_words(seconds), self.time_left.unmeasured())))

    def _tell_once(self) -> None:
        measured, took = self.time_left.measured
        if self._told or self._mode == "none" or measured < _MEASURED_STEPS:
            return
        if took < _MEASURED_SECONDS:
            return
        self._told = True
        left = self.time_left.seconds()
        if left is not None and left >= _WORTH_TELLING:
            self.say(
                f"expected time: {self._in_words(left)} for the"
                f" {self._last - self.time_left.done} steps to come, by the first {measured}"
            )

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        with _whoever_looks():
            self._bar.close()


class _Bar(tqdm):
    """A bar that shows as many values as the terminal is wide for, whenever it is drawn."""

    values: Sequence[str] = ()
    time_left: TimeLeft | None = None

    @property
    def format_dict(self) -> dict[str, Any]:
        """What the bar is drawn from."""
        found = super().format_dict
        seconds = None if self.time_left is None else self.time_left.seconds()
        found["time_left"] = "?" if seconds is None else tqdm.format_interval(seconds)
        found["ncols"] = found.get("ncols") or None  # 0 where a terminal does not say
        found["postfix"] = _fitting(self.values, found["ncols"], len(f"{found['total']}"))
        return found


def _fitting(values: Sequence[str], columns: int | None, digits: int) -> str:
    """The first values that fit beside the numbers of the bar, and a bar of a few columns."""
    room = None if columns is None else columns - 2 * digits - len("/  00:00:00 left") - 4
    shown = ""
    for value in values:
        longer = f"{shown}, {value}" if shown else value
        if room is not None and len(longer) + 2 > room:
            break
        shown = longer
    return shown


def _whoever_looks() -> contextlib.AbstractContextManager[None]:
    return contextlib.suppress(OSError, ValueError)


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
