"""Where does the time of a run go: into training, or into what is lost for it?"""

import contextlib
import functools
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ParamSpec, TypeVar

import jax

from surgvista_jax.training.durations import in_words

# Part -> what it is called at the end. "repeat" is what an earlier start did and could not save.
PARTS = {
    "start": "starting",
    "compile": "compiling",
    "data": "waiting for data",
    "save": "saving",
    "evaluate": "evaluating",
    "figure": "figures",
    "profile": "tracing",
    "train": "training",
    "repeat": "done twice",
}
# In a line of metrics; the first before each part.
SECONDS, GOODPUT, STARTS = "seconds_", "goodput", "starts"
_SHOWN = 0.0005  # share of the whole below which a part is not told at the end

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class Clock:
    """Measures how long a run was in which of `PARTS`: always in one, so that they add up.

    Args:
        began: when the run began, by `now`; None: now. It is in "start" from there on.
        now: a clock that only goes forward, in seconds.
    """

    def __init__(
        self, began: float | None = None, now: Callable[[], float] = time.perf_counter
    ) -> None:
        self._now = now
        self._since = now() if began is None else began
        self._part = "start"
        self._seconds = dict.fromkeys(PARTS, 0.0)
        self._starts = 1

    def go_on(self, state: Mapping[str, Any] | None, last: Mapping[str, Any] | None) -> None:
        """Adds what earlier starts of the run took.

        Args:
            state: `state()` of the checkpoint that the run goes on from; None where it has none.
            last: the last line of metrics, if it is of a step after that checkpoint, or where
                there is none. What lies between the two is lost, and done again.
        """
        earlier = dict(state["seconds"]) if state else {}
        for part in PARTS:
            self._seconds[part] += earlier.get(part, 0.0)
        starts = state["starts"] if state else 0
        if last is not None:
            reached = sum(last.get(f"{SECONDS}{part}", 0.0) for part in PARTS)
            self._seconds["repeat"] += max(0.0, reached - sum(earlier.values()))
            starts = max(starts, last.get(STARTS, 1 if reached else 0))
        self._starts += starts

    def switch(self, part: str) -> None:
        """From now on the run is in this part."""
        self._count()
        self._part = part

    @contextlib.contextmanager
    def on(self, part: str) -> Iterator[None]:
        """The run is in this part within the block, and behind it in the one that it was in."""
        before = self._part
        self.switch(part)
        try:
            yield
        finally:
            self.switch(before)

    def move(self, seconds: float, part: str) -> None:
        """So many of the last seconds, which were in the present part, were in another."""
        self._seconds[self._part] -= seconds
        self._seconds[part] += seconds

    def seconds(self) -> dict[str, float]:
        """Part -> seconds until now, over all starts."""
        self._count()
        return dict(self._seconds)

    def line(self) -> dict[str, float]:
        """The values of a line of metrics: each part's seconds, training's share, and starts."""
        seconds = self.seconds()
        named = {f"{SECONDS}{part}": value for part, value in seconds.items()}
        return {**named, GOODPUT: _share(seconds), STARTS: self._starts}

    def state(self) -> dict[str, Any]:
        """What a run that goes on from here has to know, as JSON values."""
        return {"starts": self._starts, "seconds": self.seconds()}

    def summary(self) -> str:
        """One line in words: the whole, training's share, and what the rest went into."""
        seconds = self.seconds()
        total = sum(seconds.values())
        starts = f" in {self._starts} starts" if self._starts > 1 else ""
        lost = [
            f"{name} {in_words(seconds[part])}"
            for part, name in PARTS.items()
            if part != "train" and seconds[part] > _SHOWN * total
        ]
        said = f"time: {in_words(total)}{starts}, of which training {_share(seconds):.1%}"
        return f"{said} ({in_words(seconds['train'])}); {', '.join(lost)}"

    def _count(self) -> None:
        now = self._now()
        self._seconds[self._part] += now - self._since
        self._since = now


def is_time(name: str) -> bool:
    """Whether a value of a line of metrics is one of `Clock.line`."""
    return name in (GOODPUT, STARTS) or name.startswith(SECONDS)


def is_state(state: Any) -> bool:
    """Whether a value from outside is what `Clock.state` gives."""
    if not isinstance(state, Mapping) or state.keys() != {"starts", "seconds"}:
        return False
    seconds = state["seconds"]
    return (
        isinstance(state["starts"], int)
        and isinstance(seconds, Mapping)
        and all(isinstance(value, int | float) for value in seconds.values())
    )


_began: float | None = None  # when the program of the next run began
_running: list[Clock] = []  # of the runs under way in this process; there is one at most


def began(at: float) -> None:
    """Says when the program began (`time.perf_counter`): its first run counts from there."""
    global _began
    _began = at


def current() -> Clock:
    """The clock of the run that is under way; a new one where nobody began to measure."""
    return _running[-1] if _running else Clock()


def timed(program: Callable[Arguments, Result]) -> Callable[Arguments, Result]:
    """A program whose time is measured, and told in one line at its end, if it has trained."""

    @functools.wraps(program)
    def measured(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        global _began
        clock, _began = Clock(_began), None
        _running.append(clock)
        try:
            result = program(*args, **kwargs)
        finally:
            _running.remove(clock)
        if clock.seconds()["train"] and jax.process_index() == 0:
            with contextlib.suppress(OSError):  # whoever looks may be gone
                print(clock.summary(), file=sys.stderr)
        return result

    return measured


def _share(seconds: Mapping[str, float]) -> float:
    total = sum(seconds.values())
    return seconds["train"] / total if total > 0 else 0.0
