"""Which promise is tried next, for how long, and what is said in the end?"""

import collections
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture.material import Material
from tests.torture.process import Broken
from tests.torture.promises import Promise, Try


@dataclass
class Tally:
    """What the tries of a promise came to."""

    tries: int = 0
    seconds: float = 0.0
    kinds: collections.Counter = field(default_factory=collections.Counter)
    broken: list[int] = field(default_factory=list)


class Runner:
    """Tries promises, with the randomness of a seed, in a scratch folder.

    Attributes:
        tallies: name of a promise -> what came of it.
    """

    def __init__(self, promises: Sequence[Promise], seed: int, scratch: Path, again: str):
        """again: the command that was typed, to which a failure adds what repeats it."""
        self.promises = promises
        self.tallies = {promise.name: Tally() for promise in promises}
        self._seed, self._scratch, self._again = seed, scratch, again
        self._material = Material(scratch / "material")

    def prepare(self) -> None:
        """Makes what all tries start from."""
        self._material.make(lambda line: print(f"  made {line}", flush=True))

    def run(self, minutes: float) -> None:
        """Tries every promise once, and then in proportion to their shares, until time is up.

        0 minutes: once, however long it takes.
        """
        end = time.monotonic() + 60 * minutes
        for promise in self.promises:
            if not minutes or time.monotonic() < end:
                self.attempt(promise, 0)
        while time.monotonic() < end:
            promise = min(self.promises, key=lambda p: self.tallies[p.name].seconds / p.share)
            self.attempt(promise, self.tallies[promise.name].tries)

    def attempt(self, promise: Promise, number: int) -> bool:
        """One try, counted; says how it was broken and how to repeat it.  True if it held."""
        tally = self.tallies[promise.name]
        folder = self._scratch / f"{promise.name}-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        one = Try(promise.rng(self._seed, number), folder, self._material)
        began = time.monotonic()
        held = True
        try:
            promise.attempt(one)
        except Broken as broken:
            held = False
            tally.broken.append(number)
            print(
                f"BROKEN {promise.name}, try {number} of seed {self._seed} ({one.kind}): {broken}\n"
                f"  promised: {promise.text}\n"
                f"  left in:  {folder}\n"
                f"  again:    {self._again} --seed {self._seed} --only {promise.name}"
                f" --try {number}",
                flush=True,
            )
        else:
            shutil.rmtree(folder, ignore_errors=True)
        tally.tries += 1
        tally.seconds += time.monotonic() - began
        tally.kinds[one.kind or "-"] += 1
        return held

    def table(self) -> str:
        """A line a promise, and their sum."""
        rows = [f"{'promise':28}{'tries':>7}{'kinds':>7}{'seconds':>9}{'broken':>8}"]
        tallies = self.tallies
        for name, tally in tallies.items():
            rows.append(_row(name, tally.tries, len(tally.kinds), tally.seconds, len(tally.broken)))
        columns = [
            (tally.tries, len(tally.kinds), tally.seconds, len(tally.broken))
            for tally in tallies.values()
        ]
        sums = [sum(column) for column in zip(*columns, strict=True)]
        broken = sum(bool(tally.broken) for tally in tallies.values())
        rows.append(_row("all", *sums))
        rows.append(f"{broken} of {len(tallies)} promises broken")
        if untried := [name for name, tally in tallies.items() if not tally.tries]:
            rows.append(f"no time for {', '.join(untried)}")
        return "\n".join(rows)


def _row(name: str, tries: int, kinds: int, seconds: float, broken: int) -> str:
    return f"{name:28}{tries:7}{kinds:7}{seconds:9.0f}{broken:8}"
