"""The command `surgvista data convert`: how does foreign data become a dataset folder?"""

import argparse
import json
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from surgvista_jax.data.extract import ExtractConfig, is_rate
from surgvista_jax.data.extraction import extract_all, open_journal
from surgvista_jax.data.manifest import Dataset, write_dataset
from surgvista_jax.data.sources import (
    IMAGE_SUFFIXES,
    VIDEO_SUFFIXES,
    Remark,
    find_videos,
    name_videos,
)
from surgvista_jax.data.workers import available_cores
from surgvista_jax.errors import UserError


@dataclass(frozen=True)
class Conversion:
    """A written dataset, and what is to be said about it.

    Attributes:
      dataset: what was written.
      num_extracted: videos extracted by this run; the others were finished before.
      problems: what was not read, or not to its end.
      notes: what else should be known.
    """

    dataset: Dataset
    num_extracted: int
    problems: list[Remark]
    notes: list[Remark]


def convert_videos(
    source: Path, out: Path, config: ExtractConfig, num_workers: int | None = None
) -> Conversion:
    """Makes a dataset without labels of all videos and frame folders below a folder.

    Args:
      source: the folder to search.
      out: the dataset folder; one that was begun with the same settings is gone on with.
      config: rate and size of the frames.
      num_workers: videos read at a time; None: one for each core.

    Raises:
      UserError: nothing to convert, nothing readable, other settings than before, a full disk.
    """
    if not source.is_dir():
        raise UserError(f"{source}: no such folder; --source must be a folder with videos")
    if (out.exists() or out.is_symlink()) and not out.is_dir():
        raise UserError(f"{out}: is a file; --out must be a folder, which need not exist")
    if out.resolve() == source.resolve():
        raise UserError(f"{out}: is the folder of the videos; --out must be another one")
    search = find_videos(source, skip=out)
    if not search.videos:
        known = " ".join(sorted(suffix[1:] for suffix in VIDEO_SUFFIXES | IMAGE_SUFFIXES))
        raise UserError(f"{source}: no video and no folder of images in it; known are: {known}")
    with open_journal(out, "videos", source, config) as journal:
        named = {entry.key: video for video, entry in journal.finished.items()}
        sources = name_videos(search.videos, named)
        extraction = extract_all(sources, out, journal, config, num_workers or available_cores())
        problems = sorted(search.problems + extraction.problems)
        videos = tuple(extraction.videos[video] for video in sorted(extraction.videos))
        if not videos:
            for problem in problems:
                print(problem, file=sys.stderr)
            raise UserError(f"{source}: none of its {len(sources)} videos can be read")
        dataset = Dataset(
            folder=out,
            name=source.resolve().name,
            task="none",
            classes=(),
            label_kind="single",
            fps=config.fps,
            splits={"train": tuple(video.video for video in videos)},
            procedure="",
            licence="",
            citation="",
            source_format="videos",
            videos=videos,
        )
        try:
            write_dataset(dataset)
        except OSError as error:
            raise UserError(
                f"{out}: {error.strerror} while writing dataset.json and videos.jsonl; all frames "
                "are in place: mend it and run the same command again"
            ) from None
    return Conversion(
        dataset, extraction.num_extracted, problems, sorted(search.notes + extraction.notes)
    )


# What `surgvista data convert FORMAT` knows: one converter for each way that data are laid out.
FORMATS: dict[str, Callable[..., Conversion]] = {"videos": convert_videos}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `surgvista data convert`."""
    default = ExtractConfig()
    parser.add_argument(
        "format", choices=FORMATS, help="videos: any folder of video files and folders of frames"
    )
    parser.add_argument("--source", type=Path, required=True, help="folder of what is converted")
    parser.add_argument("--out", type=Path, required=True, help="dataset folder to be written")
    parser.add_argument(
        "--fps", type=float, default=default.fps, help="frames kept a second (%(default)g)"
    )
    parser.add_argument(
        "--short-side",
        type=int,
        default=default.short_side,
        help="pixels to which the shorter side is reduced (%(default)d)",
    )
    parser.add_argument(
        "--source-fps",
        type=float,
        help="rate of frame folders (otherwise they are at --fps already) and of video files whose "
        "header tells none",
    )
    parser.add_argument("--workers", type=int, help="videos read at a time (one for each core)")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def main(arguments: argparse.Namespace) -> int:
    """Converts, reports, and returns 0 if every video was read to its end, else 1."""
    if arguments.workers is not None and arguments.workers < 1:
        raise UserError(f"--workers {arguments.workers}: must be 1 or more")
    config = _config(arguments)
    conversion = FORMATS[arguments.format](
        arguments.source, arguments.out, config, arguments.workers
    )
    dataset = conversion.dataset
    for remark in conversion.notes + conversion.problems:
        print(remark, file=sys.stderr)
    num_frames = sum(video.num_frames for video in dataset.videos)
    if arguments.json:
        report = {
            "dataset": str(dataset.folder),
            "videos": len(dataset.videos),
            "frames": num_frames,
            "fps": dataset.fps,
            "extracted": conversion.num_extracted,
            "problems": [{"file": r.path, "problem": r.text} for r in conversion.problems],
            "notes": [{"file": r.path, "note": r.text} for r in conversion.notes],
        }
        print(json.dumps(report, indent=2))
    else:
        print(
            f"{dataset.folder}: {len(dataset.videos)} videos, {num_frames} frames at "
            f"{dataset.fps:g} fps; {conversion.num_extracted} videos extracted now; "
            f"{len(conversion.problems)} problems"
        )
    return 1 if conversion.problems else 0


def _config(arguments: argparse.Namespace) -> ExtractConfig:
    for option, fps in (("--fps", arguments.fps), ("--source-fps", arguments.source_fps)):
        if fps is not None and not (math.isfinite(fps) and fps > 0):
            raise UserError(f"{option} {fps:g}: must be a number above 0")
    if arguments.source_fps is not None and not is_rate(arguments.source_fps):
        raise UserError(f"--source-fps {arguments.source_fps:g}: no video has such a rate")
    if arguments.short_side < 1:
        raise UserError(f"--short-side {arguments.short_side}: must be 1 pixel or more")
    return replace(
        ExtractConfig(),
        fps=arguments.fps,
        short_side=arguments.short_side,
        source_fps=arguments.source_fps,
    )
