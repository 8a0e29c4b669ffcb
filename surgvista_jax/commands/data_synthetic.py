"""The command `surgvista data synthetic`: a labelled dataset of made-up operations."""

import argparse
import json
from pathlib import Path

from surgvista_jax.checks import shortened
from surgvista_jax.counted import counted
from surgvista_jax.data.conversion.convert import Conversion
from surgvista_jax.data.conversion.extract import ExtractConfig
from surgvista_jax.data.conversion.own_videos import VideoLabels, convert_videos
from surgvista_jax.errors import UserError
from surgvista_jax.locking import alone_in
from surgvista_jax.ownership import add_overwrite
from surgvista_jax.synthetic.operation import (
    ACTIONS,
    CVS_CRITERIA,
    INSTRUMENTS,
    PHASES,
    TRIPLETS,
)
from surgvista_jax.synthetic.write import (
    COLUMNS,
    TOOL_COLUMNS,
    write_action_clips,
    write_videos,
)
from surgvista_jax.writing import clear_asides, new_folder, write_text

CLASSES = {
    "phase": PHASES,
    "action": ACTIONS,
    "triplet": tuple("-".join(triplet) for triplet in TRIPLETS),
    "cvs": CVS_CRITERIA,
    "tool": INSTRUMENTS,
}
_FRAMES = {"phase": 200, "action": 30, "triplet": 200, "cvs": 200, "tool": 200}  # of a video
# How many operations, or clips of each action, are for selection and for testing.
_VALIDATION, _TEST = 0.15, 0.25


def write_dataset(
    out: Path,
    task: str,
    *,
    videos: int,
    frames: int,
    seed: int,
    fps: float,
    size: int,
    overwrite: bool = False,
) -> Conversion:
    """Writes videos below `out/videos` and makes `out` their dataset folder.

    Args:
        out: the dataset folder.
        task: a key of CLASSES; for "action" the videos are clips of one action each.
        videos: how many operations, or clips of each action.
        frames: of each video.
        seed: of the plans.
        fps: of the videos and of the dataset.
        size: pixels a side.
        overwrite: whether files in the way that no conversion wrote may be replaced.

    Raises:
        UserError: numbers that do not make a dataset, or a folder that holds something else.
    """
    if videos < 4:
        raise UserError(f"--videos {videos}: at least 4 are needed to train, select and test")
    if not fps > 0:
        raise UserError(f"--fps {fps:g}: must be a number above 0")
    for option, number, lowest, highest in (
        ("--videos", videos, 4, 10_000),
        ("--frames", frames, 1, 1_000_000),
        ("--seed", seed, 0, 10**18 - 1),
        ("--size", size, 16, 4096),
        ("--fps", fps, 1e-3, 1000),
    ):
        if not lowest <= number <= highest:
            raise UserError(
                f"{option} {shortened(number)}: should be from {lowest:,} to {highest:,}"
            )
    source = out / "videos"
    settings = json.dumps([task, videos, frames, seed, fps, size])
    told = source / "settings.txt"
    if source.exists() and (not told.exists() or told.read_text() != settings):
        raise UserError(
            f"{source}: videos of other numbers, or another task, are here; take another --out"
        )
    if not source.exists():
        clear_asides(out)  # of an interrupted call
        with new_folder(source) as partial:
            if task == "action":
                write_action_clips(partial, videos, seed, frames, fps, size)
            else:
                columns = TOOL_COLUMNS if task == "tool" else COLUMNS
                write_videos(partial, videos, seed, frames, fps, size, columns=columns)
            names = sorted(path.stem for path in partial.glob("*.mp4"))
            splits = (f"{name},{_split(int(name.rpartition('_')[2]), videos)}\n" for name in names)
            write_text(partial / "splits.txt", ("video,split\n", *splits))
            write_text(partial / told.name, settings)
    labels = VideoLabels(source, task, classes=CLASSES[task], splits=source / "splits.txt")
    return convert_videos(source, out, ExtractConfig(fps, size), labels=labels, overwrite=overwrite)


def _split(number: int, videos: int) -> str:
    """The last are for testing, those before them for selection; added videos are trained on."""
    test, validation = max(1, round(_TEST * videos)), max(1, round(_VALIDATION * videos))
    if number >= videos - test:
        return "test"
    return "val" if number >= videos - test - validation else "train"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--task", required=True, choices=tuple(CLASSES))
    parser.add_argument("--out", required=True, type=Path, help="dataset folder to be written")
    parser.add_argument("--videos", type=int, default=60, help="or clips of each action (60)")
    parser.add_argument("--frames", type=int, help="frames of a video (200; of an action's 30)")
    parser.add_argument("--seed", type=int, default=0, help="of the plans (0)")
    parser.add_argument("--fps", type=float, default=5.0, help="frames a second (5)")
    parser.add_argument("--size", type=int, default=96, help="pixels a side (96)")
    add_overwrite(parser)


def main(arguments: argparse.Namespace) -> int:
    with alone_in(arguments.out, "take another --out"):
        conversion = write_dataset(
            arguments.out,
            arguments.task,
            videos=arguments.videos,
            frames=_FRAMES[arguments.task] if arguments.frames is None else arguments.frames,
            seed=arguments.seed,
            fps=arguments.fps,
            size=arguments.size,
            overwrite=arguments.overwrite,
        )
    dataset = conversion.dataset
    frames = sum(video.num_frames for video in dataset.videos)
    parts = ", ".join(f"{len(ids)} {split}" for split, ids in dataset.splits.items())
    print(
        f"{dataset.folder}: {counted(len(dataset.videos), 'video')} ({parts}),"
        f" {counted(frames, 'frame')}"
    )
    return 0
