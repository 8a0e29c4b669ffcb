"""Does a command that was killed, whenever and however, end as if it never had been?"""

import signal
import time
from pathlib import Path

from tests.torture.process import Broken, Command
from tests.torture.promises import Try, check_told, promise
from tests.torture.sameness import check_same

SIGNALS = ("SIGKILL", "SIGTERM", "SIGINT", "SIGHUP")
SHARED = Path("/dev/shm")


def workers_words(t: Try, job: str, most: int = 2) -> list[str]:
    """A drawn number of loader workers, as words of a job's command line; none means threads."""
    number = int(t.rng.integers(most + 1))
    form = {"config": "--config.loader.workers=", "option": "--workers="}
    kind = t.material.jobs[job].workers
    return [form[kind] + str(number)] if kind and number else []


def killed(job: str, t: Try) -> None:
    """{}, killed at any moment by any signal and started again, ends as uninterrupted: the same
    files and numbers, no process and no shared memory left."""
    out = t.material.begin(job, t.folder / "out")
    words = [*t.material.jobs[job].words(out), *workers_words(t, job)]
    pids, kinds = [], []
    for _ in range(int(t.rng.integers(1, 4))):
        moment = time.monotonic() + t.rng.uniform(0.1, 1.1) * t.material.seconds[job]
        name, group = t.one_of(SIGNALS), bool(t.rng.integers(2))
        command = t.start(*words)
        pids.append(command.pid)
        if not command.wait_until(lambda moment=moment: time.monotonic() > moment):
            kinds.append("over before")
        else:
            kinds.append(name)
            command.send(getattr(signal, name), group)
        told_or_killed(command, name)
    t.kind = kinds[0]
    said = t.run(*words)
    check_told(said)
    try:
        check_same(out, t.material.output(job))
    except Broken as broken:
        last = (said.out + said.err).strip().splitlines()[-1:] if said.code else []
        raise Broken(f"after {', '.join(kinds)}: {broken} {last}") from None
    left = [path.name for pid in pids for path in SHARED.glob(f"surgvista*{pid}*")]
    if left:
        raise Broken(f"after {', '.join(kinds)}: left in {SHARED}: {', '.join(left)}")


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
