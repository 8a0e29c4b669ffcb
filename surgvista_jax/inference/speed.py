"""How fast is a video predicted from file to label, and how long does a frame wait for its own?"""

import os
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

from surgvista_jax.data.batches.past_frames import PastFrames
from surgvista_jax.data.conversion.extract import ExtractConfig
from surgvista_jax.data.conversion.sources import find_given
from surgvista_jax.data.process_tree import held_mib, watched_memory
from surgvista_jax.errors import UserError
from surgvista_jax.host_memory import give_back
from surgvista_jax.inference.clip_batches import open_batches
from surgvista_jax.inference.every_clip import EveryClip
from surgvista_jax.training.partition import to_global

_WARM_UP = 3  # frames that are not timed


def video_speed(every_clip: EveryClip, variables: Any, path: Path, fps: float) -> dict[str, Any]:
    """Predicts a video file from its first packet to its last label, on the mesh that is set.

    The program is compiled before; what it takes to open the file and to start what decodes it
    counts.

    Args:
        every_clip: whose function and clips.
        variables: global arrays.
        path: the file.
        fps: frames a second that are looked at.

    Returns:
        `video_seconds` that it lasts, `video_times_real_time`, `video_cpu_seconds` of all processes
        a second of video, `decode_times_real_time` where nothing is computed, `decode_share` of the
        processor time, `host_peak_mib` of all processes together, and `host_before_mib` of it that
        were held before the file was opened: the devices' libraries, the program, the parameters.

    Raises:
        UserError: no frame of it can be read.
    """
    _, search = find_given([path], skip=Path())
    reading = search.videos, ExtractConfig(fps), every_clip.clip, every_clip.batch_size
    alone = open_batches(*reading)
    begun = _clocks()
    for _ in alone:
        pass
    alone.close()  # what ended processes have used is known from then on
    decode_wall, decode_cpu = _clocks() - begun
    (read,) = alone.read.values()
    if not read.num_frames or read.fps is None:
        raise UserError(f"{path}: {read.end or 'no frame in it can be read'}")
    give_back()
    before = held_mib()
    with watched_memory() as peak:
        begun = _clocks()
        for _ in every_clip.over(variables, open_batches(*reading)):
            pass
        wall, cpu = _clocks() - begun
    lasts = read.num_frames / read.fps
    return {
        "video_seconds": lasts,
        "video_times_real_time": lasts / wall,
        "video_cpu_seconds": cpu / lasts,
        "decode_times_real_time": lasts / decode_wall,
        "decode_share": decode_cpu / cpu,
        "host_peak_mib": peak[0],
        "host_before_mib": before,
    }


def frame_latency(every_clip: EveryClip, variables: Any, times: int) -> dict[str, float]:
    """Gives one frame after the other, and waits for each one's label, on the mesh that is set.

    Args:
        every_clip: of one clip at a time.
        variables: global arrays.
        times: frames that are timed.

    Returns:
        Milliseconds from a frame in memory to what is said of it: `live_ms_p50`, `_p95`, `_p99` and
        `_max`.
    """
    clip = every_clip.clip
    rng, past = np.random.default_rng(0), PastFrames(clip)
    rows = {key: np.zeros(1, np.int32) for key in ("video_index", "frame", "label")}
    rows |= {"weight": np.ones(1, np.float32), "unreadable": np.zeros((1, clip.num_frames), bool)}
    waits = []
    for _ in range(_WARM_UP + times):
        frame = rng.integers(0, 256, (clip.size, clip.size, 3), np.uint8)
        begun = time.perf_counter()
        past.push(frame)
        video = np.empty((1, clip.num_frames, clip.size, clip.size, 3), np.uint8)
        past.write(video[0])
        batch = to_global(every_clip.mesh, {"video": video, **rows})
        jax.device_get(every_clip.program(variables, batch)["values"])
        waits.append(1000 * (time.perf_counter() - begun))
    found = np.percentile(waits[_WARM_UP:], (50, 95, 99, 100))
    names = ("live_ms_p50", "live_ms_p95", "live_ms_p99", "live_ms_max")
    return dict(zip(names, found.tolist(), strict=True))


def _clocks() -> np.ndarray:
    """Seconds on the clock, and of processors: of this process and of those that it has ended."""
    used = os.times()
    processors = used.user + used.system + used.children_user + used.children_system
    return np.array([time.perf_counter(), processors])
