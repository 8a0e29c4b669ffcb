"""The command `surgvista data convert`: foreign data as a dataset folder."""

import argparse
import json
import math
import sys
from dataclasses import replace
from pathlib import Path

from surgvista_jax.checks import MOST_PIXELS, shortened
from surgvista_jax.counted import counted
from surgvista_jax.data import datasets
from surgvista_jax.data.cautions import long_usual_clip
from surgvista_jax.data.conversion.convert import CONVERT, Conversion, convert
from surgvista_jax.data.conversion.extract import ExtractConfig
from surgvista_jax.data.conversion.in_parts import KEPT
from surgvista_jax.data.conversion.official import Official, Reading
from surgvista_jax.data.conversion.own_videos import VIDEOS, VideoLabels, convert_videos
from surgvista_jax.data.conversion.video_options import add_video_options, video_options
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.data.rates import is_rate
from surgvista_jax.data.storage.manifest import FILES
from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import listed_classes
from surgvista_jax.facts.tasks import TASKS
from surgvista_jax.ownership import add_overwrite
from surgvista_jax.parts.option import add_part
from surgvista_jax.parts.plan import Parts
from surgvista_jax.parts.start import parts_of


def convert_official(
    official: Official,
    source: Path,
    out: Path,
    config: ExtractConfig,
    num_workers: int | None = None,
    unlabelled: bool = False,
    overwrite: bool = False,
    parts: Parts | None = None,
) -> Conversion:
    """Converts the official files of a dataset; `unlabelled` leaves its label files alone."""
    head = Dataset(
        folder=out,
        name=official.title,
        task="none" if unlabelled else official.task,
        classes=() if unlabelled else official.classes,
        label_kind=official.label_kind,
        fps=config.fps,
        splits={},
        procedure=official.procedure,
        licence=official.licence,
        citation=official.citation,
        source_format=official.name,
        videos=(),
    )

    def read(named: object) -> Reading:
        reading = official.read(source)
        if unlabelled:
            bare = [replace(recording, read_labels=None) for recording in reading.recordings]
            reading = replace(reading, recordings=bare, classes=None)
        return reading

    return convert(head, read, source, config, num_workers, overwrite, parts)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `surgvista data convert`."""
    default = ExtractConfig()
    parser.add_argument(
        "format",
        metavar="NAME",
        help="videos: any folder of video files and folders of frames; or a dataset that "
        "`surgvista data list` names, from its official files",
    )
    parser.add_argument("--source", type=Path, required=True, help="folder to convert")
    parser.add_argument("--out", type=Path, required=True, help="dataset folder to be written")
    parser.add_argument("--fps", type=float, help="frames kept a second (mostly 1; see data list)")
    parser.add_argument(
        "--short-side",
        type=int,
        help=f"pixels to which the shorter side is reduced ({default.short_side})",
    )
    parser.add_argument(
        "--source-fps",
        type=float,
        help="rate of frame folders (otherwise taken to be --fps), and of video files whose time "
        "stamps are missing or broken",
    )
    parser.add_argument(
        "--margins", choices=("cut", "keep"), help="black margins (cut for Cholec80, else kept)"
    )
    parser.add_argument("--workers", type=int, help="videos read at a time (one for each core)")
    parser.add_argument(
        "--unlabelled", action="store_true", help="of a dataset: only the videos, for pretraining"
    )
    add_part(parser)
    add_overwrite(parser)
    add_video_options(parser)
    labels = parser.add_argument_group("labels of `videos`")
    labels.add_argument(
        "--labels",
        type=Path,
        help="a CSV file with a column `video`, or a folder with a CSV file for each video; its "
        "lines are intervals (start, end), seconds (second), frames (frame, second) or, of one "
        "file with columns path and label alone, whole clips; or Label Studio's JSON, ELAN's .eaf, "
        "subtitles (.srt, .vtt)",
    )
    labels.add_argument("--task", choices=tuple(TASKS), help="(phase)")
    labels.add_argument("--column", help="column of the labels (label, or that of the task)")
    labels.add_argument("--classes", help="class names in their order, separated by commas")
    labels.add_argument(
        "--splits",
        type=Path,
        help="a CSV file with columns video and any of split, patient, centre",
    )
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def main(arguments: argparse.Namespace) -> int:
    """Converts, reports, and returns 0 if every video was read to its end, else 1."""
    if arguments.workers is not None and arguments.workers < 1:
        raise UserError(f"--workers {arguments.workers}: must be 1 or more")
    where = arguments.source, arguments.out
    parts = parts_of(arguments, arguments.out, CONVERT, FILES)
    if arguments.format == VIDEOS:
        config = _config(arguments, ExtractConfig())
        conversion = convert_videos(
            *where, config, arguments.workers, _labels(arguments), arguments.overwrite, parts
        )
    else:
        official = datasets.find(arguments.format)
        for option in ("labels", "task", "column", "classes", "splits"):
            if getattr(arguments, option) is not None:
                raise UserError(f"--{option}: is for `videos`; {official.name} has its own")
        config = _config(arguments, official.extract)
        conversion = convert_official(
            official,
            *where,
            config,
            arguments.workers,
            arguments.unlabelled,
            arguments.overwrite,
            parts,
        )
    _report(conversion, arguments.json)
    if parts is not None:
        if not parts.part.is_merge:
            return 1 if conversion.problems else 0
        parts.merged(KEPT)
    if caution := long_usual_clip(conversion.dataset):
        print(f"note: {caution}", file=sys.stderr)
    return 1 if conversion.problems else 0


def _labels(arguments: argparse.Namespace) -> VideoLabels | None:
    if arguments.labels is None:
        for option in ("task", "column", "classes"):
            if getattr(arguments, option) is not None:
                raise UserError(f"--{option}: says what is in label files; give --labels too")
        if arguments.splits is None:
            return None
    return VideoLabels(
        path=arguments.labels,
        task="none" if arguments.labels is None else arguments.task or "phase",
        column=arguments.column,
        classes=listed_classes("--classes", arguments.classes.split(","))
        if arguments.classes
        else None,
        splits=arguments.splits,
    )


def _report(conversion: Conversion, as_json: bool) -> None:
    dataset = conversion.dataset
    for remark in conversion.notes + conversion.problems:
        print(remark, file=sys.stderr)
    num_frames = sum(video.num_frames for video in dataset.videos)
    if as_json:
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
            f"{dataset.folder}: {counted(len(dataset.videos), 'video')},"
            f" {counted(num_frames, 'frame')} at "
            f"{dataset.fps:g} fps; {counted(conversion.num_extracted, 'video')} extracted now; "
            f"{counted(len(conversion.problems), 'problem')}"
        )


def _config(arguments: argparse.Namespace, default: ExtractConfig) -> ExtractConfig:
    for option, fps in (("--fps", arguments.fps), ("--source-fps", arguments.source_fps)):
        if fps is not None and not (math.isfinite(fps) and fps > 0):
            raise UserError(f"{option} {fps:g}: must be a number above 0")
        if fps is not None and not 1e-3 <= fps <= 1e6:
            raise UserError(f"{option} {fps:g}: should be from 0.001 to 1,000,000")
    if arguments.source_fps is not None and not is_rate(arguments.source_fps):
        raise UserError(f"--source-fps {arguments.source_fps:g}: no video has such a rate")
    if arguments.short_side is not None and arguments.short_side < 1:
        raise UserError(f"--short-side {arguments.short_side}: must be 1 pixel or more")
    if arguments.short_side is not None and arguments.short_side > MOST_PIXELS:
        side = shortened(arguments.short_side)
        raise UserError(f"--short-side {side}: no picture has more than {MOST_PIXELS:,} a side")
    changes = {
        "fps": arguments.fps,
        "short_side": arguments.short_side,
        "source_fps": arguments.source_fps,
        "cut_margins": None if arguments.margins is None else arguments.margins == "cut",
    }
    told = {key: value for key, value in changes.items() if value is not None}
    return replace(default, **told, **video_options(arguments))
