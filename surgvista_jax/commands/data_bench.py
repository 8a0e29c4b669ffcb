"""The command `surgvista data bench`: clips a second of a dataset folder, stage by stage.

Each stage alone on one core, the whole loader by number of workers, and beside them, in the same
run, the floor: OpenCV's decoding, cropping and resizing of the same frames from memory on one core,
with nothing around it. `of the floor` is what a loader gives for each core that it may use;
`clips/core-s` counts processor time, which other programs on the machine disturb less.
"""

import argparse
import json
import statistics
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from surgvista_jax.config import filled_by_options
from surgvista_jax.cores import available_cores
from surgvista_jax.counted import counted
from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.crop import AugmentConfig
from surgvista_jax.data.batches.labelled import finetune_batches
from surgvista_jax.data.batches.loader import BatchLoader, LoaderConfig
from surgvista_jax.data.batches.masked import pretrain_batches
from surgvista_jax.data.batches.masking import MaskConfig
from surgvista_jax.data.batches.share import Share
from surgvista_jax.data.batches.stages import (
    TUBELET,
    augmentation_speed,
    draw_clips,
    floor_speed,
    repeated_speed,
    stage_speeds,
    token_grid,
)
from surgvista_jax.data.batches.stretches import stretch_frames
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.data.process_tree import watched_memory
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.data.storage.open import open_frames
from surgvista_jax.errors import UserError

# Clips a second that one H200 takes in pretraining: the loader should give more.
APPETITE = 400


@dataclass(frozen=True)
class Rate:
    """One line of the result.

    Attributes:
        name: what was measured.
        clips_per_second: on all cores that it used.
        frames_per_second: the same in frames of clips; repeated frames count, and those that clips
            slide over once.
        clips_per_core_second: clips a second of processor time, which other programs on the
            machine disturb less; all processes and threads together.
        of_floor: clips/s of each core that may be used, as a share of the floor's, of loaders.
        memory_mib: the most that all processes hold together, shared memory counted once.
    """

    name: str
    clips_per_second: float
    frames_per_second: float
    clips_per_core_second: float | None = None
    of_floor: float | None = None
    memory_mib: float | None = None


def bench(
    dataset: Dataset,
    clip: ClipConfig,
    workers: list[int],
    *,
    batch_size: int,
    seconds: float,
    finetune: bool = False,
    seed: int = 0,
) -> list[Rate]:
    """Measures stages, floor and loaders.

    Args:
        workers: numbers of worker processes; 0 = as many threads as there are cores.
        batch_size: clips of a batch.
        seconds: how long each loader, and the floor before and after them, is measured.
        finetune: measures finetuning batches too, with all of their augmentation on the host;
            videos without labels get one.

    Raises:
        UserError: frames are not readable, or settings do not fit the dataset.
    """
    cv2.setNumThreads(0)
    cores = available_cores()
    clips = draw_clips(dataset, clip, seed)
    frames = stretch_frames(clip, TUBELET) / clip.slide
    speeds = stage_speeds(clips, clip)
    openers = {"loader": _open_pretraining}
    if finetune:
        speeds["augment (finetuning)"] = augmentation_speed(clips, clip, AugmentConfig())
        openers["finetuning"] = _open_finetuning
        dataset = with_labels(dataset)
    rates = [Rate(stage, speed, speed * frames) for stage, speed in speeds.items()]
    floors = [floor_speed(clips, clip, seconds / 2)]
    loaders = []
    for kind, open_loader in openers.items():
        for number in workers:
            threads = cores if number == 0 else 1
            config = LoaderConfig(workers=number, threads=threads, buffer=2)
            with (
                watched_memory() as peak,
                open_loader(dataset, clip, config, batch_size, seed) as batches,
            ):
                speed = _loader_speed(batches, batch_size, seconds)
            loaders.append((kind, number or threads, number, speed, peak[0]))
    floors.append(floor_speed(clips, clip, seconds / 2))
    floor, floor_of_core = map(statistics.mean, zip(*floors, strict=True))
    name = "floor: decode, crop, resize"
    rates.append(Rate(name, floor, floor * frames, floor_of_core))
    for kind, parallel, number, (clips_per_second, of_core), memory in loaders:
        name = counted(number, "worker") if number else f"{parallel} threads"
        rates.append(
            Rate(
                f"{kind}, {name}",
                clips_per_second,
                clips_per_second * frames,
                of_core,
                clips_per_second / min(parallel, cores) / floor,
                memory,
            )
        )
    return rates


def with_labels(dataset: Dataset) -> Dataset:
    """The dataset with a label, in memory, for every frame of videos that have none.

    The cost does not depend on the label, so any dataset can be measured.
    """
    label = () if dataset.label_kind == "multi" else 0
    videos = tuple(
        replace(video, labels=(label,) * video.num_frames) if video.labels is None else video
        for video in dataset.videos
    )
    return replace(dataset, videos=videos)


def _open_pretraining(
    dataset: Dataset, clip: ClipConfig, loader: LoaderConfig, batch_size: int, seed: int
) -> BatchLoader:
    return pretrain_batches(
        dataset,
        clip,
        MaskConfig(),
        loader,
        _endless(batch_size // clip.slide),
        grid=token_grid(clip),
        seed=seed,
    )


def _open_finetuning(
    dataset: Dataset, clip: ClipConfig, loader: LoaderConfig, batch_size: int, seed: int
) -> BatchLoader:
    return finetune_batches(dataset, clip, AugmentConfig(), loader, _endless(batch_size), seed=seed)


def _endless(batch_size: int) -> Share:
    return Share(batch_size, np.arange(batch_size), start_step=0, num_steps=10**9)


def _loader_speed(batches: BatchLoader, batch_size: int, seconds: float) -> tuple[float, float]:
    for _ in range(8):  # until what was prefetched is used up
        next(batches)
    return repeated_speed(lambda: next(batches), batch_size, seconds)


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
    parser.add_argument(
        "--finetune",
        action="store_true",
        help="measure finetuning batches too, with the recipe's full augmentation; frames without "
        "labels count as labelled",
    )
    parser.add_argument("--batch-size", type=int, default=32, help="clips of a batch (%(default)d)")
    parser.add_argument("--seconds", type=float, default=5.0, help="for each loader (%(default)g)")
    for key, what in (
        ("num_frames", "frames of a clip"),
        ("stride", "frames from one frame of a clip to the next"),
        ("size", "pixels of a side of a clip"),
        ("slide", "clips that slide over a stretch; batches and speeds count clips"),
    ):
        option, value = f"--{key.replace('_', '-')}", getattr(default, key)
        parser.add_argument(option, type=int, default=value, help=f"{what} (%(default)d)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def main(arguments: argparse.Namespace) -> None:
    if min(arguments.workers) < 0 or arguments.batch_size < 1 or not arguments.seconds > 0:
        raise UserError("--workers from 0, --batch-size from 1 and --seconds above 0 are needed")
    dataset = read_dataset(arguments.folder)
    if arguments.split:
        dataset = dataset.split(arguments.split)
    sizes = {key: getattr(arguments, key) for key in ("num_frames", "stride", "size", "slide")}
    with filled_by_options():
        clip = ClipConfig(**sizes)
    if arguments.batch_size % clip.slide:
        raise UserError(
            f"--batch-size {arguments.batch_size}: should be a multiple of --slide {clip.slide}"
        )
    if arguments.finetune and clip.slide > 1:
        raise UserError(f"--slide {clip.slide}: slides in pretraining alone: leave out --finetune")
    rates = bench(
        dataset,
        clip,
        arguments.workers,
        batch_size=arguments.batch_size,
        seconds=arguments.seconds,
        finetune=arguments.finetune,
    )
    described = {
        "dataset": str(arguments.folder),
        "source": type(open_frames(*dataset.places()[0])).__name__,
        "clip": [clip.num_frames, clip.size, clip.size],
        "slide": clip.slide,
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
    slide = f" that slide by {described['slide']}" * (described["slide"] > 1)
    lines = [
        f"{described['dataset']}: {described['source']}, clips of {frames}x{size}x{size}{slide}, "
        f"batches of {described['batch_size']}, {described['cores']} cores",
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
