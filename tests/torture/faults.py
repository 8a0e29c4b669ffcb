"""Is what is good kept when workers die or hang, the disk is full, data vanish, or two start?"""

import json
import os
import shutil
import signal
import socket
import time
from pathlib import Path

from tests.torture.kills import workers_words
from tests.torture.process import Broken, Command, in_child
from tests.torture.promises import Promise, Try, check_told, expect_success
from tests.torture.sameness import arrays_digest, check_same

# A run that is still on its way when it is disturbed, and saves on no rule meanwhile.
_LONG = ["--config.budget.steps=3000", "--config.loop.log_every=1"]
_NO_RULE = ["--config.checkpoint.save_every=100000"]


def worker_dies(t: Try) -> None:
    """Kills a loader worker of a run that trains."""
    _, command, out = _long_run(t, *_NO_RULE, workers=int(t.rng.integers(1, 3)))
    if not (workers := command.workers()):
        raise Broken(f"no worker to kill: {command.last_line()}")
    os.kill(t.one_of(workers), signal.SIGKILL)
    ended = command.finish()
    if check_told(ended) == "success":
        raise Broken("a dead worker goes unsaid")
    _check_saved(out)


def worker_hangs(t: Try) -> None:
    """Stops all loader workers, and tells the run to end."""
    _, command, out = _long_run(t, *_NO_RULE, workers=int(t.rng.integers(1, 3)))
    for worker in command.workers():
        os.kill(worker, signal.SIGSTOP)
    time.sleep(t.rng.uniform(0, 4))
    t.kind = t.one_of(["SIGTERM", "SIGINT", "SIGHUP", "SIGINT twice"])
    command.send(getattr(signal, t.kind.split()[0]))
    if t.kind.endswith("twice"):
        time.sleep(1)
        command.send(signal.SIGINT)
    check_told(command.finish(20 if t.kind.endswith("twice") else 90))
    if not t.kind.endswith("twice"):
        _check_saved(out)


def data_vanish(t: Try) -> None:
    """Takes the frames away from under a run."""
    job, command, out = _long_run(
        t, "--config.loop.min_frames=1", "--config.checkpoint.save_every=1", copied=True
    )
    frames = t.folder / "data" / "frames"
    t.kind = t.one_of(["moved", "emptied", "cut"])
    if t.kind == "moved":
        frames.rename(t.folder / "elsewhere")
    for picture in sorted(frames.rglob("*.jpg")):
        picture.write_bytes(b"" if t.kind == "emptied" else picture.read_bytes()[:200])
    if check_told(command.finish()) == "success":
        raise Broken("trained to its end without data")
    step = max(_steps(out), default=0)
    if not step:
        return
    # The same run on whole data: the newest checkpoint must have been made from such.
    shutil.rmtree(frames, ignore_errors=True)
    whole = {"pretrain": "noise", "finetune": "colours"}[job]
    shutil.copytree(t.material.folder / whole / "frames", frames)
    again = t.folder / "again"
    words = [*_words(t, job, again), f"--config.loop.stop_after={step}", *_LONG]
    expect_success(t.run(*words, "--config.checkpoint.save_every=100000"))
    if in_child(arrays_digest, out, step) != in_child(arrays_digest, again, step):
        raise Broken(f"the checkpoint of step {step} was made from frames that nobody could read")


def disk_full(t: Try) -> None:
    """Lets no file pass a drawn size; then starts again without that limit."""
    jobs = [name for name in t.material.jobs if name not in ("check", "evaluate", "figure")]
    job = t.kind = t.one_of(jobs)
    out = t.material.begin(job, t.folder / "out")
    words = [*t.material.jobs[job].words(out), *workers_words(t, job)]
    limit = int(10 ** t.rng.uniform(1, 5.5))
    check_told(t.run(*words, file_bytes=limit))
    said = t.run(*words)
    try:
        check_told(said)
        check_same(out, t.material.output(job))
    except Broken as broken:
        last = (said.out + said.err).strip().splitlines()[-1:] if said.code else []
        raise Broken(f"{job}, after files of {limit} bytes at most: {broken} {last}") from None


def two_starts(t: Try) -> None:
    """Starts a command twice with one folder to write to."""
    job = t.kind = t.one_of(["pretrain", "finetune", "convert", "pack", "features", "predict"])
    out = t.material.begin(job, t.folder / "out")
    words = t.material.jobs[job].words(out)
    first = t.start(*words)
    moment = time.monotonic() + t.rng.uniform(0.0, 0.7) * t.material.seconds[job]
    first.wait_until(lambda: time.monotonic() > moment and any(out.glob("*")))
    second = t.start(*words)
    ended = second.finish()
    overlap = first.poll() is None
    told = [check_told(ended), check_told(first.finish())]
    if told[1] != "success" and told[0] != "success":
        raise Broken(f"{job}: neither of two starts came to its end")
    if t.material.jobs[job].trains and overlap:
        line = ended.err.strip().splitlines()[-1] if ended.err.strip() else ""
        if told[0] == "success" or str(first.pid) not in line or socket.gethostname() not in line:
            raise Broken(f"{job}: the second start does not say who runs there: {line[:200]}")
    check_same(out, t.material.output(job))


def _long_run(
    t: Try, *options: str, workers: int = 0, copied: bool = False
) -> tuple[str, Command, Path]:
    """A pretraining or finetuning run that has begun to train: which, its command, its folder."""
    job = t.kind = t.one_of(["pretrain", "finetune"])
    out = t.folder / "out"
    if copied:
        source = {"pretrain": "noise", "finetune": "colours"}[job]
        shutil.copytree(t.material.folder / source, t.folder / "data")
        options = (*options, f"--config.data.folder={t.folder / 'data'}")
    words = [*t.material.jobs[job].words(out), *_LONG, *options]
    if job == "finetune":  # an evaluation would start other workers
        words.append("--config.evaluation.every_epochs=100000")
    command = t.start(*words, f"--config.loader.workers={workers}")
    lines = int(t.rng.integers(2, 20))
    if not command.wait_until(lambda: len(_lines(out)) >= lines):
        raise Broken(f"ended before it was disturbed: {command.last_line()}")
    return job, command, out


def _words(t: Try, job: str, out: Path) -> list[object]:
    data = f"--config.data.folder={t.folder / 'data'}"
    return [*t.material.jobs[job].words(out), data]


def _check_saved(out: Path) -> None:
    """Raises `Broken` if steps that were logged are not saved."""
    done, saved = json.loads(_lines(out)[-1])["step"], max(_steps(out), default=0)
    if saved < done:
        raise Broken(f"ended at step {done} or later and saved {saved or 'nothing'}")


def _lines(out: Path) -> list[str]:
    """The whole lines of a run's metrics so far."""
    path = out / "metrics.jsonl"
    return path.read_text().split("\n")[:-1] if path.exists() else []


def _steps(out: Path) -> list[int]:
    return [int(path.name) for path in out.glob("checkpoints/[0-9]*") if path.name.isdecimal()]


PROMISES = [
    Promise(
        "faults.worker_dies",
        "a run whose loader worker is killed says so in one line and saves what is good",
        worker_dies,
        share=2,
    ),
    Promise(
        "faults.worker_hangs",
        "a run whose loader hangs sees signals, saves and ends; a second Ctrl-C ends it at once",
        worker_hangs,
        share=2,
    ),
    Promise(
        "faults.data_vanish",
        "a run whose frames vanish ends, and saves nothing that was made without them",
        data_vanish,
        share=2,
    ),
    Promise(
        "faults.disk_full",
        "a full disk is told in one line, and with space again all ends as undisturbed",
        disk_full,
        share=3,
    ),
    Promise(
        "faults.two_starts",
        "of two starts in one folder one ends as if alone, and the other names it or waits",
        two_starts,
        share=3,
    ),
]
