"""Does a command that was killed, whenever and however, end as if it never had been?"""

import json
import os
import re
import signal
import time
from collections.abc import Collection
from pathlib import Path

from tests.torture.process import Broken, Command
from tests.torture.promises import Try, check_told, expect_success, promise
from tests.torture.sameness import check_same

SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")
SHARED = Path("/dev/shm")
_OF_PROCESS = re.compile(r"\.?(surgvista-([0-9]+)-[0-9a-f]+)[-.].*")  # a batch, or who has it
_OFTEN = 20  # kills of one run
_STEPS_EACH = 5  # that a run goes on before the next of them, at most


def workers_words(t: Try, job: str, most: int = 2) -> list[str]:
    """A drawn number of loader workers, as words of a job's command line; none means threads."""
    number = int(t.rng.integers(most + 1))
    form = {"config": "--config.loader.workers=", "option": "--workers="}
    kind = t.material.jobs[job].workers
    return [form[kind] + str(number)] if kind and number else []


def killed(job: str, t: Try) -> None:
    """{}, killed at any moment by any signal and started again, ends as uninterrupted: the same
    files and numbers, no process and no shared memory left."""
    out = t.material.begin(job, t.folder / t.material.output(job).name)
    words = [*t.material.jobs[job].words(out), *workers_words(t, job)]
    pids: set[int] = set()
    kinds = []
    for _ in range(int(t.rng.integers(1, 4))):
        moment = time.monotonic() + t.rng.uniform(0.1, 1.1) * t.material.seconds[job]
        name, group = t.one_of(SIGNALS), bool(t.rng.integers(2))
        command = t.start(*words)
        if not command.wait_until(lambda moment=moment: time.monotonic() > moment):
            kinds.append("over before")
        else:
            kinds.append(name)
            command.send(getattr(signal, name), group)
        told_or_killed(command, name)
        pids |= command.pids
    t.kind = kinds[0]
    said = t.run(*words)
    check_told(said)
    try:
        check_same(out, t.material.output(job))
    except Broken as broken:
        last = (said.out + said.err).strip().splitlines()[-1:] if said.code else []
        raise Broken(f"after {', '.join(kinds)}: {broken} {last}") from None
    if left := left_in_memory(SHARED, pids):
        raise Broken(f"after {', '.join(kinds)}: left in {SHARED}: {', '.join(left)}")


def left_in_memory(folder: Path, pids: Collection[int]) -> list[str]:
    """The files of shared memory that these processes, which have ended, left behind.

    Others at work on the machine have files there too: a process has its number in their names,
    and while it lives, a lock on that which says so.
    """
    left = []
    for path in sorted(folder.iterdir()):
        found = _OF_PROCESS.fullmatch(path.name)
        if found and int(found[2]) in pids and not _held(folder / f".{found[1]}.lock"):
            left.append(path.name)
    return left


def _held(path: Path) -> bool:
    """Whether a living process has the lock of a file."""
    from surgvista_jax.locking import try_lock

    try:
        file = os.open(path, os.O_RDWR)
    except OSError:
        return False
    try:
        return not try_lock(file)
    finally:
        os.close(file)


def killed_often(job: str, t: Try) -> None:
    """A {} run that is killed 20 times, as it starts, trains, saves or evaluates, ends as
    uninterrupted: the same parameters and numbers, each step once."""
    out, whole = t.folder / "killed" / "run", t.folder / "whole" / "run"
    long = [f"--config.budget.steps={_OFTEN * _STEPS_EACH}", "--config.checkpoint.save_every=3"]
    long.append("--config.loop.log_every=1")
    words = t.material.jobs[job].words
    expect_success(t.run(*words(whole), *long))
    told: list[str] = []
    missed = False
    while len(told) < _OFTEN:
        # Wherever a kill comes, steps are left for those after it.
        stop = f"--config.loop.stop_after={_STEPS_EACH * (len(told) + 1)}"
        command = t.start(*words(out), *long, *workers_words(t, job), stop)
        saved = max(map(int, _names(out / "checkpoints")), default=0)
        if missed or not told or t.rng.random() < 0.25:
            at, wanted = t.rng.uniform(0, 0.6) * t.material.seconds[job], 0
        else:
            at, wanted = t.rng.uniform(0, 0.3), int(t.rng.integers(1, _STEPS_EACH))
        reached = command.wait_until(lambda step=saved + wanted: _last_step(out) >= step)
        moment = time.monotonic() + at
        name, group = t.one_of(SIGNALS), bool(t.rng.integers(2))
        missed = not reached or not command.wait_until(lambda m=moment: time.monotonic() > m)
        if not missed:
            command.send(getattr(signal, name), group)
            told.append(f"{name} at {_last_step(out)}")
        told_or_killed(command, name)
    t.kind = "20 kills"
    print(f"  {job}: {', '.join(told)}", flush=True)
    expect_success(t.run(*words(out), *long))
    check_same(out, whole)


def _names(folder: Path) -> list[str]:
    return [path.name for path in folder.glob("[0-9]*") if path.name.isdecimal()]


def _last_step(out: Path) -> int:
    """The last step that a run has logged, 0 before the first."""
    path = out / "metrics.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return json.loads(lines[-1])["step"] if lines else 0


def told_or_killed(command: Command, name: str) -> None:
    """Waits for the end of a command that got a signal: of the signal, or with words."""
    ended = command.finish()
    if ended.code != -getattr(signal, name):
        check_told(ended)


for _job, _share in {
    "pretrain": 6, "finetune": 6, "convert": 3, "pack": 2, "features": 2, "predict": 3,
    "export": 0.5, "import": 0.5, "synthetic": 0.5,
}.items():  # fmt: skip
    promise(_share, _job)(killed)
for _job in ("pretrain", "finetune"):
    promise(0, f"{_job}_often", _job, _job)(killed_often)
