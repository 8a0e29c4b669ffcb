"""The command `surgvista data bench`: how many clips a second does a dataset folder give, and why?

Each stage alone on one core, the whole loader by number of workers, and beside them, in the same
run, the floor: OpenCV's decoding, cropping and resizing of the same frames from memory on one core,
with nothing around it. `of the floor` is what a loader gives for each core that it may use;
`clips/core-s` counts processor time, which other programs on the machine disturb less.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from surgvista_jax.data.augment import Crop, crop_box, multi_scale_crop
from surgvista_jax.data.clips import ClipConfig, ClipIndex, clip_frame_ids
from surgvista_jax.data.decode import open_frames
from surgvista_jax.data.frames import EncodedFrames, Frames, decode_image
from surgvista_jax.data.loader import BatchLoader, LoaderConfig
from surgvista_jax.data.manifest import Dataset, read_dataset
from surgvista_jax.data.masking import MASKS, MaskConfig
from surgvista_jax.data.pipeline import pretrain_batches
from surgvista_jax.data.process_tree import used_seconds, watched_memory
from surgvista_jax.data.workers import available_cores
from surgvista_jax.errors import UserError

# Clips a second that one H200 takes in pretraining: the loader should give more.
APPETITE = 400
_TUBELET, _PATCH = 2, 16
_MEASURED_CLIPS = 64


@dataclass(frozen=True)
class Rate:
    """One line of the result.

    Attributes:
        name: what was measured.
        clips_per_second: on all cores that it used.
        frames_per_second: the same in frames of clips; repeated frames count.
        clips_per_core_second: clips a second of processor time, which other programs on the
            machine disturb less; all processes and threads together.
        of_floor: clips/s of each core that may be used, as a share of the floor's, of loaders.
        memory_mib: what all processes hold together at most, shared memory counted once.
    """

    name: str
    clips_per_second: float
    frames_per_second: float
    clips_per_core_second: float | None = None
    of_floor: float | None = None
    memory_mib: float | None = None


@dataclass(frozen=True)
class _Clip:
    frames: Frames
    frame_ids: list[int]  # distinct
    crop: Crop


def bench(
    dataset: Dataset,
    clip: ClipConfig,
    workers: list[int],
    *,
    batch_size: int,
    seconds: float,
    seed: int = 0,
) -> list[Rate]:
    """Measures stages, floor and loaders.

    Args:
        workers: numbers of worker processes; 0 = as many threads as there are cores.
        batch_size: clips of a batch.
        seconds: how long each loader, and the floor before and after them, is measured.

    Raises:
        UserError: frames are not readable, or settings do not fit the dataset.
    """
    cv2.setNumThreads(0)
    cores = available_cores()

    def open_loader(loader: LoaderConfig) -> BatchLoader:
        side = clip.size // _PATCH
        return pretrain_batches(
            dataset,
            clip,
            MaskConfig(),
            loader,
            grid=(clip.num_frames // _TUBELET, side, side),
            batch_size=batch_size,
            seed=seed,
            rows=np.arange(batch_size),
            start_step=0,
            num_steps=10**9,
        )

    clips = _draw_clips(dataset, clip, seed)
    rates = _stage_rates(clips, clip)
    floors = [_floor(clips, clip, seconds / 2)]
    loaders = []
    for number in workers:
        threads = cores if number == 0 else 1
        config = LoaderConfig(workers=number, threads=threads, buffer=2)
        with watched_memory() as peak, open_loader(config) as batches:
            speed = _loader_speed(batches, batch_size, seconds)
        loaders.append((number or threads, number, speed, peak[0]))
    floors.append(_floor(clips, clip, seconds / 2))
    floor, floor_of_core = map(statistics.mean, zip(*floors, strict=True))
    name = "floor: decode, crop, resize"
    rates.append(Rate(name, floor, floor * clip.num_frames, floor_of_core))
    for parallel, number, (clips_per_second, of_core), memory in loaders:
        name = f"{number} worker{'s' * (number > 1)}" if number else f"{parallel} threads"
        rates.append(
            Rate(
                f"loader, {name}",
                clips_per_second,
                clips_per_second * clip.num_frames,
                of_core,
                clips_per_second / min(parallel, cores) / floor,
                memory,
            )
        )
    return rates


def _draw_clips(dataset: Dataset, clip: ClipConfig, seed: int) -> list[_Clip]:
    """Random clips of the dataset, with a random crop each."""
    index = ClipIndex([video.num_frames for video in dataset.videos])
    rng = np.random.default_rng(seed)
    clips, places = [], dataset.places()
    for _ in range(_MEASURED_CLIPS):
        number, last = index[int(rng.integers(len(index)))]
        frames = open_frames(*places[number])
        frame_ids = clip_frame_ids(last, clip.num_frames, clip.stride)
        clips.append(_Clip(frames, list(dict.fromkeys(frame_ids.tolist())), multi_scale_crop(rng)))
    return clips


def _stage_rates(clips: list[_Clip], config: ClipConfig) -> list[Rate]:
    """Each stage alone, on one core; video files are read and decoded in one."""
    times = dict.fromkeys(("read", "decode", "crop and resize", "masks"), 0.0)
    out = np.empty((config.size, config.size, 3), np.uint8)
    grid = (config.num_frames // _TUBELET, *[config.size // _PATCH] * 2)
    rng = np.random.default_rng(0)
    for clip in clips:
        start = time.perf_counter()
        stored = list(_stored(clip))
        read = time.perf_counter()
        images = list(_decoded(clip, stored))
        decoded = time.perf_counter()
        for image in images:
            _crop_and_resize(image, clip.crop, out)
        resized = time.perf_counter()
        MASKS["tube"](rng, grid, MaskConfig().ratio)
        masked = time.perf_counter()
        for stage, began, ended in (
            ("read", start, read),
            ("decode", read, decoded),
            ("crop and resize", decoded, resized),
            ("masks", resized, masked),
        ):
            times[stage] += ended - began
    count = len(clips)
    return [
        Rate(stage, count / spent, count / spent * config.num_frames)
        for stage, spent in times.items()
        if spent
    ]


def _stored(clip: _Clip) -> Iterator[bytes | None]:
    """The image files of a clip; none of a video file."""
    if isinstance(clip.frames, EncodedFrames):
        yield from clip.frames.encoded(clip.frame_ids)


def _decoded(clip: _Clip, stored: list[bytes | None]) -> Iterator[np.ndarray]:
    """The readable images of a clip, from memory where they are image files."""
    images = map(decode_image, stored) if stored else clip.frames.images(clip.frame_ids)
    return (image for image in images if image is not None)


def _crop_and_resize(image: np.ndarray, crop: Crop, out: np.ndarray) -> None:
    box = crop_box(crop, *image.shape[:2])
    part = image[box.top : box.top + box.height, box.left : box.left + box.width]
    cv2.resize(part, out.shape[1::-1], dst=out, interpolation=cv2.INTER_LINEAR)


def _floor(clips: list[_Clip], config: ClipConfig, seconds: float) -> tuple[float, float]:
    """The speed of decoding, cropping and resizing alone, frame after frame, on one core."""
    stored = [list(_stored(clip)) for clip in clips]
    out = np.empty((config.size, config.size, 3), np.uint8)

    def run(count: int) -> None:
        for clip, data in zip(clips[:count], stored, strict=False):
            for image in _decoded(clip, data):
                _crop_and_resize(image, clip.crop, out)

    run(4)
    return _repeat(lambda: run(len(clips)), len(clips), seconds)


def _loader_speed(batches: BatchLoader, batch_size: int, seconds: float) -> tuple[float, float]:
    for _ in range(8):  # until what was prefetched is used up
        next(batches)
    return _repeat(lambda: next(batches), batch_size, seconds)


def _repeat(run: Callable[[], object], count: int, seconds: float) -> tuple[float, float]:
    """Runs for so long; returns `count` times the runs a second, and a second of processor time."""
    start, used, runs = time.perf_counter(), used_seconds(), 0
    while True:
        run()
        runs += 1
        spent = time.perf_counter() - start
        if spent >= seconds:
            # The kernel counts processor time in hundredths of a second.
            return count * runs / spent, count * runs / max(used_seconds() - used, 0.01)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `surgvista data bench`."""
    default = ClipConfig()
    parser.add_argument("folder", type=Path, help="dataset folder")
    parser.add_argument("--split", help="of the dataset (all videos)")
    parser.add_argument(
        "--workers",
        type=int,
        nargs="+",
        default=[0, 1, 2],
        help="numbers of worker processes; 0 = threads, one a core (0 1 2)",
    )
    parser.add_argument("--batch-size", type=int, default=32, help="clips of a batch (%(default)d)")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each loader (%(default)g)")
    for key in ("num_frames", "stride", "size"):
        option = f"--{key.replace('_', '-')}"
        parser.add_argument(option, type=int, default=getattr(default, key), help="%(default)d")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def main(arguments: argparse.Namespace) -> None:
    if min(arguments.workers) < 0 or arguments.batch_size < 1 or not arguments.seconds > 0:
        raise UserError("--workers from 0, --batch-size from 1 and --seconds above 0 are needed")
    dataset = read_dataset(arguments.folder)
    if arguments.split:
        dataset = dataset.split(arguments.split)
    clip = ClipConfig(num_frames=arguments.num_frames, stride=arguments.stride, size=arguments.size)
    rates = bench(
        dataset,
        clip,
        arguments.workers,
        batch_size=arguments.batch_size,
        seconds=arguments.seconds,
    )
    described = {
        "dataset": str(arguments.folder),
        "source": type(open_frames(*dataset.places()[0])).__name__,
        "clip": [clip.num_frames, clip.size, clip.size],
        "batch_size": arguments.batch_size,
        "cores": available_cores(),
    }
    if arguments.json:
        lines = [asdict(rate) for rate in rates]
        print(json.dumps({**described, "appetite": APPETITE, "rates": lines}))
    else:
        print(_table(described, rates))


def _table(described: dict, rates: list[Rate]) -> str:
    frames, size, _ = described["clip"]
    lines = [
        f"{described['dataset']}: {described['source']}, clips of {frames}x{size}x{size}, batches "
        f"of {described['batch_size']}, {described['cores']} cores",
        f"{'':<28}{'clips/s':>10}{'frames/s':>11}{'clips/core-s':>14}{'of the floor':>14}"
        f"{'memory':>10}",
    ]
    for rate in rates:
        of_core = "" if rate.clips_per_core_second is None else f"{rate.clips_per_core_second:.1f}"
        share = "" if rate.of_floor is None else f"{rate.of_floor:.0%}"
        memory = "" if rate.memory_mib is None else f"{rate.memory_mib:.0f} MiB"
        lines.append(
            f"{rate.name:<28}{rate.clips_per_second:>10.1f}{rate.frames_per_second:>11,.0f}"
            f"{of_core:>14}{share:>14}{memory:>10}"
        )
    lines.append(f"{'appetite of one H200':<28}{APPETITE:>10}{APPETITE * frames:>11,}")
    return "\n".join(lines)
