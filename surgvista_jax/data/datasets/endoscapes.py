"""Endoscapes: the layout of its critical view of safety.

Confirmed by CAMMA-public/Endoscapes and a program that reads the files: 201 videos, three
criteria rated by three, ratings 5 seconds apart; by that program and the totals of CAMMA's
analysis of overlaps, as it is quoted: 120/41/40 videos. Unconfirmed: the mean of the raters
against 0.5, which that program tells, and counting what any rater sees, which SurgVISTA alone
does.
"""

import math
import re
from functools import lru_cache, partial
from pathlib import Path

from surgvista_jax.counted import counted
from surgvista_jax.data.conversion.official import Counts, Official, Reading, Recording
from surgvista_jax.data.conversion.sources import Remark, SourceVideo, frame_files
from surgvista_jax.data.labels.tables import read_rows, read_text, version
from surgvista_jax.data.labels.track import FrameLabels, Label
from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import is_unlabelled

CRITERIA = ("two structures", "hepatocystic triangle", "cystic plate")
COUNTS = tuple(f"{count} criteria" for count in range(4))
SPLITS = ("train", "val", "test")
LAYOUT = """\
SOURCE/
  train/1_14050.jpg …           VIDEO_FRAME.jpg, one a second; also val/ and test/
  train_vids.txt, val_vids.txt, test_vids.txt       the numbers of the videos of a split
  all_metadata.csv              vid, frame, avg_cvs (the mean rating of each criterion), …:
      vid,frame,avg_cvs
      1,14050,"[0.0, 0.3333, 1.0]\""""


def read(folder: Path, form: str) -> Reading:
    """Reads Endoscapes' official folder.

    Args:
        form: "criteria": a criterion is met where most raters say so, several at a time, as its
            authors have it; "count": how many criteria any rater sees, as the method's authors do.
    """
    splits = {split: read_videos(folder / f"{split}_vids.txt") for split in SPLITS}
    metadata = folder / "all_metadata.csv"
    _ratings(metadata, version(metadata))  # a wrong line shows before anything else is done
    recordings, lacking = [], []
    for split, videos in splits.items():
        files = _by_video(folder / split)
        for video in videos:
            prefix = f"{video}_"
            if video not in files:
                lacking.append(video)
                continue
            key = f"{split}/{prefix}"
            source = SourceVideo(
                key, video, folder / split, True, files[video], fps=1.0, prefix=prefix
            )
            labels = partial(read_labels, metadata, video, form)
            recordings.append(Recording(source, labels, True, patient=f"endoscapes-{video}"))
    if not recordings:
        raise UserError(f"{folder / 'train'}: no frame VIDEO_FRAME.jpg in it")
    text = (
        "frames without a rating are unlabelled; those rated are 5 seconds apart, so that stride 4 "
        "over them alone, as the method's authors take it, is clip.stride=20 here"
    )
    notes = [Remark(str(metadata), text)]
    if lacking:
        text = (
            f"{counted(len(lacking), 'video is', 'videos are')} not there and left out:"
            f" {', '.join(lacking[:8])}"
        )
        notes.append(Remark(str(folder), text))
    return Reading(recordings, splits, notes)


def read_videos(path: Path) -> list[str]:
    """Reads the numbers of a split's videos, which some files write as 1.0e+00."""
    videos = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        for word in line.split():
            try:
                value = float(word)
            except ValueError:
                value = 0.5
            if not math.isfinite(value) or value != int(value):
                raise UserError(f"{path}, line {number}: {word!r} is not the number of a video")
            videos.append(str(int(value)))
    return videos


def read_labels(path: Path, video: str, form: str) -> FrameLabels:
    """The labels of one video, by frame number."""
    threshold = 0.5 if form == "criteria" else 0.0
    labels: dict[int, Label] = {}
    for frame, means in _ratings(path, version(path)).get(video, {}).items():
        met = tuple(k for k, mean in enumerate(means) if mean > threshold)
        labels[frame] = met if form == "criteria" else len(met)
    return FrameLabels(labels, 1.0)


@lru_cache(maxsize=1)
def _ratings(path: Path, version: object) -> dict[str, dict[int, tuple[float, ...]]]:
    """Video -> frame -> mean rating of each criterion, of the frames that are rated."""
    ratings: dict[str, dict[int, tuple[float, ...]]] = {}
    for row in read_rows(path, ("vid", "frame", "avg_cvs")):
        text = row.cells["avg_cvs"].strip()
        if text == "[]" or is_unlabelled(text):
            continue
        numbers = re.findall(r"[-+.0-9e]+", text)
        try:
            means = tuple(float(number) for number in numbers)
        except ValueError:
            means = ()
        if len(means) != len(CRITERIA) or not all(0 <= mean <= 1 for mean in means):
            raise UserError(f"{row.where}: avg_cvs {text!r} must be three numbers from 0 to 1")
        video = str(row.number("vid", int))
        ratings.setdefault(video, {})[row.number("frame", int)] = means
    return ratings


def _by_video(folder: Path) -> dict[str, int]:
    """Video -> number of its frames in a folder."""
    counts: dict[str, int] = {}
    for path in frame_files(folder) if folder.is_dir() else []:
        if re.fullmatch(r"\d+_\d+", path.stem):
            video = path.stem.split("_")[0]
            counts[video] = counts.get(video, 0) + 1
    return counts


def _dataset(name: str, title: str, form: str, classes: tuple[str, ...], kind: str) -> Official:
    return Official(
        name=name,
        title=title,
        task="cvs",
        classes=classes,
        read=partial(read, form=form),
        layout=LAYOUT,
        procedure="laparoscopic cholecystectomy",
        centre="University Hospital of Strasbourg",
        licence="CC BY-NC-SA 4.0",
        access="https://github.com/CAMMA-public/Endoscapes",
        citation=(
            "A. Murali et al., The Endoscapes dataset for surgical scene segmentation, object "
            "detection, and critical view of safety assessment, arXiv:2312.12429, 2023"
        ),
        label_kind=kind,
        published={"train": Counts(120), "val": Counts(41), "test": Counts(40)},
    )


DATASETS = (
    _dataset("endoscapes", "Endoscapes (criteria)", "criteria", CRITERIA, "multi"),
    _dataset("endoscapes-count", "Endoscapes (count)", "count", COUNTS, "single"),
)
