"""A run as an experiment tracker shows it: what stands in the run's files, each step once.

`metrics.jsonl` and `evaluations.jsonl` stay the truth. A thread follows them as they grow and hands
on what the tracked run has not got yet, from the first line on at every start. So training neither
waits for a tracker nor ends with it, and what one missed, the next start of the run hands in.
"""

import contextlib
import json
import math
import os
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
from tqdm import tqdm

from surgvista_jax.json_object import read_object
from surgvista_jax.ownership import Ownership
from surgvista_jax.training.run_facts import facts_of_run
from surgvista_jax.training.rundir import read_config
from surgvista_jax.training.trackers import (
    EVALUATED,
    STEP,
    TENSORBOARD,
    End,
    Tracker,
    begin_tracker,
    check_tracker,
    reason_of,
)
from surgvista_jax.training.writers import EVALUATIONS_FILE, METRICS_FILE
from surgvista_jax.writing import write_json

FILE = "tracking.json"  # tracker -> by what the next start finds the tracked run, and _OF
_OF = "workdir"  # the run's folder, absolute: a copy of it is another run
_EVERY = 1.0  # s, between looks at the files
_PATIENCE = 60.0  # s, for what is left at the end


def check_tracking(name: str) -> None:
    """Refuses, before anything is loaded, a tracker that could not begin; process 0 looks.

    Raises:
        UserError: what `check_tracker` raises.
    """
    if jax.process_index() == 0:
        check_tracker(name)


def tracking_files(name: str) -> list[str]:
    """The names of the files that `tracked` writes in a run's folder."""
    return [] if name == TENSORBOARD else [FILE]


class Tracked:
    """What a program says of the run that is tracked: whether it came to its end."""

    def __init__(self) -> None:
        self.ended = False


@contextlib.contextmanager
def tracked(workdir: Path, name: str, owned: Ownership, score: str = "") -> Iterator[Tracked]:
    """Tracks the run that is trained in the block, if this is process 0.

    A tracker that fails in the block is said once, and the run goes on.

    Args:
        workdir: the run's folder, claimed for it.
        name: one of `trackers.TRACKERS`, which `check_tracker` has seen.
        owned: by which files in the folder may be replaced.
        score: that evaluations.jsonl holds; "" where there is none.

    Raises:
        UserError: the tracked run cannot begin.
    """
    said = Tracked()
    if name == TENSORBOARD or jax.process_index() != 0:
        yield said
        return
    path = workdir / FILE
    notes = read_object(path) if path.exists() else {}
    here, known = str(workdir.resolve()), notes.get(name, {})
    if known and known.get(_OF, here) != here:
        tqdm.write(
            f"{path}: is of {known[_OF]}: config.tracking={name} begins a new tracked run",
            file=sys.stderr,
        )
        known = {}
    facts = facts_of_run(read_config(workdir).values)
    # Runs of several seeds are called by the folder that holds them, too.
    run = f"{workdir.absolute().parent.name}/{workdir.name}"
    tracker = begin_tracker(name, run, workdir, facts, known)
    write_json(path, {**notes, name: {**tracker.notes, _OF: here}}, owned)
    follower = _Follower(tracker, name, workdir, score)
    follower.start()
    end: End = "failed"
    try:
        yield said
        end = "finished" if said.ended else "stopped"
    finally:
        follower.end(end)


class _Follower(threading.Thread):
    """Hands on what the files of a run hold, until it is told that the run has ended."""

    def __init__(self, tracker: Tracker, name: str, workdir: Path, score: str) -> None:
        super().__init__(name="tracking", daemon=True)
        self._tracker, self._called = tracker, name
        self._lines = _Tail(workdir / METRICS_FILE)
        self._evaluations = _Tail(workdir / EVALUATIONS_FILE)
        self._score = score
        self._over = threading.Event()
        self._ending: End = "failed"

    def run(self) -> None:
        """What the thread does."""
        try:
            while not self._over.wait(_EVERY):
                self._hand_on()
            self._hand_on()
            self._tracker.close(self._ending)
        except Exception as error:  # their errors have no common type
            self._say(reason_of(error))

    def end(self, end: End) -> None:
        """Hands over what is left; a tracker that does not take it is not waited for."""
        self._ending = end
        self._over.set()
        self.join(_PATIENCE)
        if self.is_alive():
            self._say(f"does not answer for {_PATIENCE:.0f} s")

    def _hand_on(self) -> None:
        for line in self._lines.new():
            self._tracker.log(STEP, line["step"], _numbers(line))
        for line in self._evaluations.new() if self._score else ():
            values = _numbers({f"selection_{self._score}": line["score"]})
            self._tracker.log(EVALUATED, line["step"], values)

    def _say(self, reason: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # whoever looks may be gone
            tqdm.write(
                f"WARNING: config.tracking={self._called}: {reason}: no more is tracked; the run"
                " goes on, and its next start hands in what is missing",
                file=sys.stderr,
            )


class _Tail:
    """The lines of a file that grows, and that may be replaced by a shorter one."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._inode, self._read = -1, 0

    def new(self) -> Iterator[dict[str, Any]]:
        """The whole lines since the last call; all of them where the file is another one."""
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            inode = os.fstat(file.fileno()).st_ino
            if inode != self._inode:
                self._inode, self._read = inode, 0
            file.seek(self._read)
            for line in file:
                if not line.endswith(b"\n"):
                    return  # it is being written
                self._read += len(line)
                yield json.loads(line)


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    """The finite ones; the others are in the files alone."""
    return {
        name: value
        for name, value in values.items()
        if name != "step" and isinstance(value, int | float) and math.isfinite(value)
    }
