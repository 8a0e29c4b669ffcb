"""A pretraining run that takes seconds: its dataset, its configuration, and how to start it."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.storage.manifest import write_dataset
from surgvista_jax.training.goodput import is_time

CONFIG = """
from ml_collections import ConfigDict

def stack(width, depth, heads):
    return {"width": width, "depth": depth, "heads": heads}

def get_config(teacher="random"):
    return ConfigDict({
        "seed": 3,
        "data": {"folder": FOLDER, "split": "train"},
        "budget": {"batch_size": 8, "epochs": None, "steps": 8, "accumulate": 1},
        "clip": {"num_frames": 4, "stride": 2, "size": 32},
        "mask": {"kind": "tube", "ratio": 0.5, "masks_per_clip": 1},
        "model": {
            "tubelet": 2, "patch": 16,
            "encoder": {**stack(32, 2, 2), "drop_path": 0.2},
            "pixel_decoder": stack(16, 1, 2),
            "feature_decoder": stack(16, 1, 2),
        },
        "teacher": None if teacher == "none" else {
            "transformer": {**stack(16, 1, 2), "attention_bias": "qkv"},
            "patch": 16, "weights": teacher,
        },
        "objective": {},
        "optim": {"learning_rate": 1e-2, "final_learning_rate": 1e-4, "reference_batch": 8,
                  "warmup_epochs": 0.5},
        "compute": {"dtype": "float32"},
        "loader": {},
        "mesh": {},
        "checkpoint": {"save_every": 2, "max_to_keep": 20},
        "loop": {"log_every": 2},
        "figure": {},
    })
"""


def make_dataset(folder: Path) -> Path:
    """Three videos of drifting noise, 40 frames in all."""
    rng = np.random.default_rng(0)
    videos = []
    for number, num_frames in enumerate((9, 20, 11)):
        source = folder / "frames" / f"video{number}"
        source.mkdir(parents=True)
        field = cv2.resize(rng.integers(0, 255, (12, 12, 3), np.uint8), (120, 60))
        for frame in range(num_frames):
            picture = np.roll(field, 2 * frame, axis=1)[:48, :64]
            (source / f"{frame:06d}.jpg").write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
        videos.append(Video(source.name, f"frames/{source.name}", 1.0, num_frames))
    write_dataset(
        Dataset(
            folder=folder,
            name="noise",
            task="none",
            classes=(),
            label_kind="single",
            fps=1.0,
            splits={"train": tuple(video.video for video in videos)},
            procedure="",
            licence="",
            citation="",
            source_format="",
            videos=tuple(videos),
        )
    )
    return folder


def make_config(path: Path, dataset: Path | str) -> Path:
    path.write_text(CONFIG.replace("FOLDER", repr(str(dataset))))
    return path


def start(
    *words: str, devices: int = 1, program=("-m", "surgvista_jax"), **variables: str
) -> subprocess.Popen:
    """Starts the command line in a process of its own; its output is read by `finish`.

    program: what Python runs instead.
    """
    environment = (
        os.environ
        | variables
        | {
            "JAX_NUM_CPU_DEVICES": str(devices),
            "TF_CPP_MIN_LOG_LEVEL": "1",
            "PYTHONWARNINGS": "error",
        }
    )
    return subprocess.Popen(
        [sys.executable, *program, *map(str, words)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: subprocess.Popen, code: int = 0, seconds: float = 180) -> str:
    """Waits for a process, checks its exit code, and returns what it printed.

    One that still runs at the limit is killed, and so are those that it started.
    """
    try:
        out, err = process.communicate(timeout=seconds)
    except BaseException as error:
        said = kill(process)
        if not isinstance(error, subprocess.TimeoutExpired):
            raise
        raise AssertionError(f"killed, for it still ran after {seconds:g} s\n{said}") from None
    assert process.returncode == code, f"exit code {process.returncode}\n{out}\n{err}"
    return out + err


def finish_all(processes: Sequence[subprocess.Popen], seconds: float = 180) -> None:
    """`finish` of processes that work together: if one fails, none is left."""
    try:
        for process in processes:
            finish(process, seconds=seconds)
    finally:
        for process in processes:
            kill(process)


def wait_until(
    process: subprocess.Popen, happened: Callable[[], object], seconds: float = 120
) -> None:
    """Waits for what a process does; one that ends first, or never does it, fails and is killed."""
    deadline = time.monotonic() + seconds
    while not happened():
        if process.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"did not happen within {seconds:g} s\n{kill(process)}")
        time.sleep(0.02)


def kill(process: subprocess.Popen) -> str:
    """Kills a process and those below it, which would hold its output open; what was printed."""
    for pid in _family(process.pid) if process.poll() is None else ():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    try:
        return "".join(filter(None, process.communicate(timeout=20)))
    except (subprocess.TimeoutExpired, ValueError):  # ValueError: it was read before
        return ""


def _family(pid: int) -> list[int]:
    """A process and all those below it (Linux); itself alone where that is not told."""
    found = [pid]
    with contextlib.suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += _family(int(child))
    return found


def lines(workdir: Path) -> dict[int, dict]:
    """metrics.jsonl by step, each step once, without where the time went."""
    rows = [
        {name: value for name, value in json.loads(line).items() if not is_time(name)}
        for line in (workdir / "metrics.jsonl").read_text().splitlines()
    ]
    by_step = {row["step"]: row for row in rows}
    assert len(by_step) == len(rows)
    return by_step
