"""One line of metrics: means over the steps since the last line, and their speed."""

import contextlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

from surgvista_jax.training.goodput import is_state

# Of these the last step's value is logged; every other metric is averaged.
LAST_KEYS = ("learning_rate", "grad_norm")
_EMPTY = {"sums": {}, "last": {}, "steps": 0, "skipped": 0}
# Beside these: lines that are complete, as [step, values], and `goodput.Clock.state`.
UNWRITTEN, TIME = "unwritten", "time"


def is_window(state: Any) -> bool:
    """Whether a value from outside is None, or what `Window.state` gives and what may be beside it.

    A checkpoint has `UNWRITTEN` where a run could not write its lines before it ended, and lacks
    `TIME` where an earlier version saved it.
    """
    if state is None:
        return True
    if not isinstance(state, Mapping) or state.keys() - {UNWRITTEN, TIME} != _EMPTY.keys():
        return False
    lines = state.get(UNWRITTEN, [])
    if not isinstance(lines, list) or not all(map(_is_line, lines)):
        return False
    if TIME in state and not is_state(state[TIME]):
        return False
    parts = (state["sums"], state["last"], {"steps": state["steps"], "skipped": state["skipped"]})
    return all(
        isinstance(part, Mapping) and all(isinstance(v, int | float) for v in part.values())
        for part in parts
    )


def _is_line(value: Any) -> bool:
    whole = isinstance(value, list) and len(value) == 2
    return whole and isinstance(value[0], int) and isinstance(value[1], Mapping)


class Window:
    """The steps since the last line, each counted once, also across a restart.

    Args:
        state: what `state()` gave when the checkpoint was saved, for the run that continues from
            it; None for an empty window.
    """

    def __init__(self, state: Mapping[str, Any] | None = None):
        self._continue_from(state or _EMPTY)

    def _continue_from(self, state: Mapping[str, Any]) -> None:
        self._sums = dict(state["sums"])
        self._last = dict(state["last"])
        self._steps = state["steps"]
        self._skipped = state["skipped"]

    def state(self) -> dict[str, Any]:
        """The window as JSON values; floats survive exactly."""
        return {
            "sums": dict(self._sums),
            "last": dict(self._last),
            "steps": self._steps,
            "skipped": self._skipped,
        }

    def add(self, metrics: Mapping[str, float]) -> None:
        """Counts one step; of a skipped one (metric "finite" is 0) only that it was."""
        self._steps += 1
        self._last = {key: metrics[key] for key in LAST_KEYS if key in metrics}
        means = {key: v for key, v in metrics.items() if key not in (*LAST_KEYS, "finite")}
        if not metrics["finite"]:
            self._skipped += 1
            means = dict.fromkeys(means, 0.0)
        for key, value in means.items():
            self._sums[key] = self._sums.get(key, 0.0) + value

    def take(self) -> dict[str, float | None]:
        """The line's values, and an empty window. A mean over nothing is None."""
        counted = self._steps - self._skipped
        line = {key: total / counted if counted else None for key, total in self._sums.items()}
        line |= self._last | {"skipped_steps": self._skipped}
        self._continue_from(_EMPTY)
        return line

    def __len__(self) -> int:
        return self._steps


class Speed:
    """Clips a second and what the devices did with the time.

    Args:
        batch_size: clips of one step, all processes together; their mean, where steps differ.
        flops_per_clip: name of a metric -> operations that it counts for one clip.
        peak: operations a second of all devices together; None where it is not known.
    """

    def __init__(self, batch_size: float, flops_per_clip: Mapping[str, float], peak: float | None):
        self._batch_size = batch_size
        self._flops_per_clip = dict(flops_per_clip)
        self._peak = peak
        self._started: float | None = None
        self._waited = 0.0
        self._steps = 0

    @property
    def running(self) -> bool:
        """Whether the clock runs: not before the first step has been compiled."""
        return self._started is not None

    def start(self, waited: float) -> None:
        """Begins a window. waited: seconds for data since the run began."""
        self._started, self._waited, self._steps = time.perf_counter(), waited, 0

    def step(self) -> None:
        """Counts a finished step."""
        self._steps += 1

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Does not count what is not training: saving, figures, evaluation."""
        start = time.perf_counter()
        yield
        if self._started is not None:
            self._started += time.perf_counter() - start

    def take(self, waited: float) -> dict[str, float]:
        """The line's values, and a new window. Empty if no step was timed."""
        if self._started is None or not self._steps:
            return {}
        seconds = time.perf_counter() - self._started
        rate = self._steps * self._batch_size / seconds
        line = {
            "clips_per_second": rate,
            "data_wait_share": min((waited - self._waited) / seconds, 1.0),
        }
        if self._peak is not None:
            line |= {
                name: rate * flops / self._peak for name, flops in self._flops_per_clip.items()
            }
        self.start(waited)
        return line
