"""How fast is a video predicted from file to label, and how long does a frame wait for its own?"""

import dataclasses
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from surgvista_jax.data.conversion.extract import ExtractConfig
from surgvista_jax.data.conversion.sources import find_given
from surgvista_jax.data.process_tree import held_mib, watched_memory
from surgvista_jax.errors import UserError
from surgvista_jax.host_memory import give_back
from surgvista_jax.inference.clip_batches import open_batches
from surgvista_jax.inference.every_clip import EveryClip
from surgvista_jax.inference.live import predict_live
from surgvista_jax.inference.live_clock import Frame, in_real_time
from surgvista_jax.inference.streaming import StreamingPredictor
from surgvista_jax.inference.trained import Trained

_OF_CAMERA = (854, 480)
_FEW = 8  # frames that are drawn, and shown one after the other


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


@dataclasses.dataclass
class MadeUpCamera:
    """Noise of a camera's size, in real time.

    Attributes:
        count: frames.
        fps: of them a second.
    """

    count: int
    fps: float
    broke, size = "", _OF_CAMERA

    def frames(self) -> Iterator[Frame]:
        rng = np.random.default_rng(0)
        few = [rng.integers(0, 256, (*_OF_CAMERA[::-1], 3), np.uint8) for _ in range(_FEW)]
        return in_real_time((k / self.fps, few[k % len(few)]) for k in range(self.count))


def frame_latency(trained: Trained, times: int) -> dict[str, float]:
    """Predicts a made-up camera live, at the rate of the model, as `predict --stream` does.

    Args:
        trained: what predicts.
        times: frames of the camera.

    Returns:
        Milliseconds from a frame that has come to its label: `live_ms_p50`, `_p95`, `_p99` and
        `_max`; and `live_dropped`, frames that were dropped because others were predicted.
    """
    camera = MadeUpCamera(times, trained.meaning.fps)
    predictor = StreamingPredictor(trained, frame_size=camera.size)
    outcome = predict_live(predictor, camera, lambda line: None)
    waits = {f"live_ms_{name}": value for name, value in outcome.shares.items()}
    return {**waits, "live_dropped": outcome.dropped}


def _clocks() -> np.ndarray:
    """Seconds on the clock, and of processors: of this process and of those that it has ended."""
    used = os.times()
    processors = used.user + used.system + used.children_user + used.children_system
    return np.array([time.perf_counter(), processors])
