"""A run on the terminal: a bar, or a line for every line of metrics."""

import contextlib
import sys
from collections.abc import Mapping

from tqdm import tqdm

MODES = ("auto", "bar", "lines", "none")


class Progress:
    """A context manager; everything goes to stderr.

    A terminal that is gone, or a pipe whose reader is, ends no run: what it would show is lost.

    Args:
        mode: "bar", "lines", "none", or "auto": a bar where stderr is a terminal, else lines.
        step: where the run starts.
        last: where it ends.
        active: whether this process shows anything but warnings.
    """

    def __init__(self, mode: str, step: int, last: int, active: bool):
        if mode == "auto":
            mode = "bar" if sys.stderr.isatty() else "lines"
        self._mode = mode if active else "none"
        self._last = last
        self._bar = tqdm(
            total=last,
            initial=step,
            unit="step",
            dynamic_ncols=True,
            file=sys.stderr,
            disable=self._mode != "bar",
        )

    def step(self) -> None:
        """Counts a finished step."""
        with _whoever_looks():
            self._bar.update()

    def line(self, step: int, values: Mapping[str, float | None]) -> None:
        """Shows the values of a line of metrics."""
        text = "  ".join(f"{name} {_short(value)}" for name, value in values.items())
        with _whoever_looks():
            self._bar.set_postfix_str(text)
        if self._mode == "lines":
            self.say(f"step {step}/{self._last}  {text}")

    def say(self, text: str) -> None:
        """A line of its own, above the bar if there is one."""
        with _whoever_looks():
            tqdm.write(text, file=sys.stderr)

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception: object) -> None:
        with _whoever_looks():
            self._bar.close()


def _whoever_looks() -> contextlib.AbstractContextManager[None]:
    return contextlib.suppress(OSError, ValueError)


def _short(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"
