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
from tests.torture.promises import Try, check_told, expect_success, promise
from tests.torture.sameness import arrays_digest, check_same

_DATA = {"pretrain": "noise", "finetune": "colours"}
_DECODED_AHEAD = 10  # batches that may have been read before: of threads, buffers and the device
_UNSAVED = "--config.checkpoint.save_every=100000"


@promise(2)
def worker_dies(t: Try) -> None:
    """A run whose loader worker is killed says so in one line and saves what is good."""
    _, command, out = _long_run(t, _UNSAVED, workers=int(t.rng.integers(1, 3)))
    if not (workers := command.workers()):
        raise Broken(f"no worker to kill: {command.last_line()}")
    os.kill(t.one_of(workers), signal.SIGKILL)
    ended = command.finish()
    if check_told(ended) == "success":
        raise Broken("a dead worker goes unsaid")
    _check_saved(out)


@promise(2)
def worker_hangs(t: Try) -> None:
    """A run whose loader hangs sees signals, saves and ends; a second Ctrl-C ends it at once."""
    _, command, out = _long_run(t, _UNSAVED, workers=int(t.rng.integers(1, 3)))
    for worker in command.workers():
        os.kill(worker, signal.SIGSTOP)
    time.sleep(t.rng.uniform(0, 4))
    t.kind = t.one_of(["SIGTERM", "SIGINT", "SIGHUP", "SIGINT twice"])
    command.send(getattr(signal, t.kind.split()[0]))
    if t.kind.endswith("twice"):
        time.sleep(1)
        command.send(signal.SIGINT)
    check_told(command.finish())
    if not t.kind.endswith("twice"):
        _check_saved(out)


@promise(2)
def data_vanish(t: Try) -> None:
    """A run whose frames vanish ends, and saves nothing that was made without them."""
    limits = ("--config.loop.min_frames=1", "--config.loop.max_unreadable_share=0.9")
    job, command, out = _long_run(t, *limits, "--config.checkpoint.save_every=1")
    frames = t.folder / "data" / "frames"
    t.kind = t.one_of(["moved", "emptied", "cut"])
    if t.kind == "moved":
        frames.rename(t.folder / "elsewhere")
    for picture in sorted(frames.rglob("*.jpg")):
        picture.write_bytes(b"" if t.kind == "emptied" else picture.read_bytes()[:200])
    gone = len(_lines(out))
    if check_told(command.finish()) == "success":
        raise Broken("trained to its end without data")
    step = max(_steps(out), default=0)
    if step > gone + _DECODED_AHEAD:
        raise Broken(f"saved step {step}, where the last frame was gone at step {gone}")
    named = (out / "unreadable_frames.jsonl").read_text().splitlines()
    if not step or step >= min((json.loads(line)["step"] for line in named), default=step):
        return  # a batch that was read while they vanished was good enough by the limit
    # The same run on whole data comes to the same parameters.
    shutil.rmtree(frames, ignore_errors=True)
    shutil.copytree(t.material.folder / _DATA[job] / "frames", frames)
    again = t.folder / "again"
    words = _long_words(t, job, again)
    expect_success(t.run(*words, _UNSAVED, f"--config.loop.stop_after={step}"))
    if in_child(arrays_digest, out, step) != in_child(arrays_digest, again, step):
        raise Broken(f"the checkpoint of step {step} was made from frames that nobody could read")


@promise(3)
def disk_full(t: Try) -> None:
    """A full disk is told in one line, and with space again all ends as undisturbed."""
    jobs = [name for name in t.material.jobs if name not in ("check", "evaluate", "figure")]
    job = t.kind = t.one_of(jobs)
    out = t.material.begin(job, t.folder / t.material.output(job).name)
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


@promise(3)
def two_starts(t: Try) -> None:
    """Of two starts in one folder one ends as if alone; the other says who is there, or waits."""
    job = t.kind = t.one_of(["pretrain", "finetune", "convert", "pack", "features", "predict"])
    out = t.material.begin(job, t.folder / t.material.output(job).name)
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


def _long_run(t: Try, *options: str, workers: int = 0) -> tuple[str, Command, Path]:
    """A pretraining or finetuning run that has begun to train: which, its command, its folder."""
    job = t.kind = t.one_of(["pretrain", "finetune"])
    out = t.folder / "out"
    shutil.copytree(t.material.folder / _DATA[job], t.folder / "data")
    command = t.start(*_long_words(t, job, out), *options, f"--config.loader.workers={workers}")
    lines = int(t.rng.integers(2, 20))
    if not command.wait_until(lambda: len(_lines(out)) >= lines):
        raise Broken(f"ended before it was disturbed: {command.last_line()}")
    return job, command, out


def _long_words(t: Try, job: str, out: Path) -> list[object]:
    """The command line of a run that is still on its way when it is disturbed."""
    words = [*t.material.jobs[job].words(out), f"--config.data.folder={t.folder / 'data'}"]
    words += ["--config.budget.steps=3000", "--config.loop.log_every=1"]
    if job == "finetune":  # its evaluations have workers of their own
        words.append("--config.evaluation.every_epochs=100000")
    return words


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
