"""The command `surgvista data check`: whether a dataset folder is what it should be."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from surgvista_jax.counted import counted
from surgvista_jax.data.cautions import long_usual_clip
from surgvista_jax.data.checking.frames import Scan, findings_of, scan_frames
from surgvista_jax.data.checking.in_parts import CHECK, KEPT, scan_part, scans_of_parts
from surgvista_jax.data.checking.labels import check_labels, check_splits, class_shares
from surgvista_jax.data.checking.overlaps import check_overlap
from surgvista_jax.data.checking.report import Finding, Report, is_page, to_html, to_text
from surgvista_jax.data.dataset import TRAIN, Dataset
from surgvista_jax.data.datasets import registry
from surgvista_jax.data.storage.manifest import FILES, read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.ownership import add_overwrite, in_folder
from surgvista_jax.parts.option import add_part
from surgvista_jax.parts.start import parts_of
from surgvista_jax.writing import write_text

ABOUT = """\
What is checked: videos and frames against the published numbers; rates; videos shorter than the
published clip of 16 frames, 4 apart; videos and patients on two sides of a split; operations of the
test in pretraining data (by a table of known overlaps); label gaps, absent classes, implausibly
short segments; frames that cannot be read, stand still, or occur in another video too. Errors give
exit code 1.

Frame counts may differ by one a video without an error. Cholec80's test half has 98,234
seconds if every frame with a number divisible by 25 counts. The ground truth beside the predictions
of SurgeonAssist-Net has 98,194, one less for each of the 40 videos. Which one is missing is not the
same everywhere: in 38 videos the last second, so that line k is second k; in video49 and video74
the first one, so that line k is second k + 1. Read as second k throughout, 12 lines disagree with
the official labels, one at each change of phase in these two videos; read as said here, none does.
"""
# Other frame extraction ends a video a frame earlier or later.
FRAMES_A_VIDEO = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `surgvista data check`."""
    parser.epilog = ABOUT
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("folder", type=Path, help="dataset folder")
    parser.add_argument(
        "--pretraining",
        type=Path,
        nargs="+",
        default=[],
        metavar="FOLDER",
        help="dataset folders that a model was pretrained on: do they hold operations of the test?",
    )
    parser.add_argument(
        "--pretraining-split",
        help="the split of these folders (train, or all videos of a folder without it)",
    )
    parser.add_argument("--no-frames", action="store_true", help="do not open any frame")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a page with pictures too")
    add_part(parser)
    add_overwrite(parser)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def main(arguments: argparse.Namespace) -> int:
    """Checks, reports, and returns 0 if there is no error, else 1; of a part, 0 at its end."""
    parts = parts_of(arguments, arguments.folder, CHECK, FILES)
    if parts is not None and arguments.no_frames:
        raise UserError("--part: divides the frames, of which --no-frames looks at none")
    if parts is not None and not parts.part.is_merge:
        count = scan_part(parts, read_dataset(arguments.folder))
        print(f"{parts.folder}: the frames of {counted(count, 'video')} are looked at")
        return 0
    owned = None
    if arguments.html is not None:
        owned = in_folder(arguments.html.parent, arguments.overwrite, is_page)
        owned.check([arguments.html])
    dataset = read_dataset(arguments.folder)
    others = []
    for folder in arguments.pretraining:
        other = read_dataset(folder)
        if arguments.pretraining_split is not None:
            other = other.part(arguments.pretraining_split)
        elif TRAIN in other.splits:
            other = other.split(TRAIN)
        others.append(other)
    scans = None if parts is None else list(scans_of_parts(parts, dataset))
    report = check(dataset, others, look_at_frames=not arguments.no_frames, scans=scans)
    if arguments.html is not None:
        write_text(arguments.html, to_html(report, dataset), owned)
    print(json.dumps(report.as_dict(), indent=2) if arguments.json else to_text(report))
    if parts is not None:
        parts.merged(KEPT)
    return 1 if any(finding.level == "error" for finding in report.findings) else 0


def check(
    dataset: Dataset,
    pretraining: list[Dataset],
    look_at_frames: bool = True,
    scans: Sequence[Scan] | None = None,
) -> Report:
    """Checks everything that is known to go wrong with such a dataset.

    Args:
        scans: what was seen of the frames of its videos, where parts looked at them.
    """
    findings = check_counts(dataset)
    findings += check_rates(dataset)
    findings += check_clips(dataset)
    findings += check_damage(dataset)
    findings += check_splits(dataset)
    findings += check_overlap(dataset, pretraining)
    if dataset.task != "none":
        findings += check_labels(dataset)
    if look_at_frames:
        findings += scan_frames(dataset) if scans is None else findings_of(dataset, scans)
    return Report(
        folder=str(dataset.folder),
        name=dataset.name,
        task=dataset.task,
        fps=dataset.fps,
        procedure=dataset.procedure,
        classes=dataset.classes,
        splits={
            name: (len(ids), sum(video.num_frames for video in dataset.split(name).videos))
            for name, ids in dataset.splits.items()
        },
        shares=class_shares(dataset),
        findings=findings,
    )


def check_counts(dataset: Dataset) -> list[Finding]:
    """Compares numbers of videos and frames with the published ones, where there are any."""
    official = registry().get(dataset.source_format)
    if official is None:
        return [Finding("note", "counts", "not a published dataset: there are no counts to expect")]
    findings = []
    for split, expected in official.published.items():
        videos = dataset.split(split).videos if split in dataset.splits else ()
        frames = sum(video.num_frames for video in videos)
        if expected.videos is not None and len(videos) != expected.videos:
            text = (
                f"split {split}: {counted(len(videos), 'video')}, published are {expected.videos}"
            )
            findings.append(Finding("warning", "counts", text))
            continue
        if expected.frames is None or dataset.fps != official.extract.fps:
            continue
        ratio = frames / expected.frames
        text = f"split {split}: {counted(frames, 'frame')}, published are {expected.frames:,}"
        if ratio > 1.9 or ratio < 0.55:
            text += f"; that is {ratio:.3g} times as many: are the frames at another rate?"
            findings.append(Finding("error", "counts", text))
        elif abs(frames - expected.frames) > FRAMES_A_VIDEO * len(videos):
            findings.append(Finding("warning", "counts", text))
        else:
            findings.append(Finding("good", "counts", text))
    return findings


def check_rates(dataset: Dataset) -> list[Finding]:
    """Finds videos at another rate than the dataset's: a clip's stride means other seconds."""
    other = [video for video in dataset.videos if abs(video.fps - dataset.fps) > 1e-6]
    if not other:
        return [Finding("good", "rates", f"all videos are at {dataset.fps:g} frames a second")]
    text = (
        f"{counted(len(other), 'video is', 'videos are')} at another rate than the dataset's"
        f" {dataset.fps:g} fps, such as "
        f"{other[0].video} at {other[0].fps:g}: a clip of them spans another time"
    )
    return [Finding("warning", "rates", text)]


def check_damage(dataset: Dataset) -> list[Finding]:
    """Tells what of videos could not be read when their frames were extracted."""
    return [
        Finding("warning", "videos", f"{video.video}: {text}")
        for video in dataset.videos
        for text in video.damage or ()
    ]


def check_clips(dataset: Dataset) -> list[Finding]:
    """Finds that the published clip is longer than most videos: its frames repeat."""
    text = long_usual_clip(dataset)
    return [Finding("warning", "clips", text)] if text else []
