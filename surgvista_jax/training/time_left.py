"""How long will a run still take, with the evaluations and saves that are to come?"""

import bisect
import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

# Part of a run's time -> what is said of so many that are to come and were not measured yet. Saves,
# which are short, are not spoken of.
_SPOKEN_OF = {"evaluate": ("evaluation", "evaluations"), "figure": ("figure", "figures")}


class Aside(NamedTuple):
    """What is done between steps now and then, such as an evaluation.

    Attributes:
        part: of the run's time (`goodput.PARTS`).
        steps: after which it is done; ascending.
    """

    part: str
    steps: Sequence[int]


def seconds_left(
    step: float, steps: int, asides: Iterable[tuple[Sequence[float], int]] = ()
) -> float:
    """The seconds that so many steps take, and what is done between them.

    Args:
        step: seconds of one.
        asides: of each kind the seconds of those so far, and how many are to come. The first one
            compiles, and counts only where it is alone; of a kind that was not done yet nothing is
            known, and nothing is counted.
    """
    total = step * steps
    for so_far, to_come in asides:
        usual = so_far[1:] or so_far
        if usual:
            total += to_come * sum(usual) / len(usual)
    return total


class TimeLeft:
    """Measures steps and what is done between them.

    Args:
        first, last: the steps between which this start of the run trains.
        asides: name -> what is done between steps.
        now: a clock that only goes forward, in seconds.
    """

    def __init__(
        self,
        first: int,
        last: int,
        asides: Mapping[str, Aside] | None = None,
        now: Callable[[], float] = time.perf_counter,
    ):
        self.done, self.last = first, last
        self._asides = dict(asides or {})
        self._so_far: dict[str, list[float]] = {name: [] for name in self._asides}
        self._at = dict.fromkeys(self._asides, first)
        self._now = now
        # The first step compiles: time is measured from its end.
        self._measured_from: tuple[float, int] | None = None
        self._between = 0.0  # seconds since then that were no steps'

    def step(self) -> None:
        """Counts a finished step."""
        self.done += 1
        if self._measured_from is None:
            self._measured_from = self._now(), self.done

    @contextlib.contextmanager
    def aside(self, name: str, step: int) -> Iterator[None]:
        """What is done in the block is the aside of this name, after so many steps."""
        since = self._now()
        yield
        took = self._now() - since
        self._so_far[name].append(took)
        self._at[name] = step
        if self._measured_from is not None:
            self._between += took

    @property
    def measured(self) -> tuple[int, float]:
        """Steps behind the first one, and their seconds."""
        if self._measured_from is None:
            return 0, 0.0
        since, first = self._measured_from
        return self.done - first, self._now() - since - self._between

    def seconds(self) -> float | None:
        """To the end; None before two steps."""
        steps, took = self.measured
        if not steps:
            return None
        asides = ((self._so_far[name], self._to_come(name)) for name in self._asides)
        return seconds_left(took / steps, self.last - self.done, asides)

    def unmeasured(self) -> str:
        """What is to come that `seconds` cannot count yet, in words: "3 evaluations"; else ""."""
        said = []
        for name, aside in self._asides.items():
            to_come = self._to_come(name)
            if to_come and not self._so_far[name] and aside.part in _SPOKEN_OF:
                said.append(f"{to_come} {_SPOKEN_OF[aside.part][to_come > 1]}")
        return " and ".join(said)

    def _to_come(self, name: str) -> int:
        steps = self._asides[name].steps
        return len(steps) - bisect.bisect_right(steps, self._at[name])
