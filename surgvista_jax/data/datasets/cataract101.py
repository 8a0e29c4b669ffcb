"""Cataract-101: the layout of its phases.

Confirmed by the dataset's own tables (videos, annotations, phases) and SurgVISTA: 101 videos, ten
phases from 1 in this order, 25 frames a second. Unconfirmed: 60/13/28, told by SurgVISTA alone,
which names no videos.
"""

from functools import cache, partial
from pathlib import Path

from surgvista_jax.data.conversion.official import Counts, Official, Reading, Recording, gather
from surgvista_jax.data.conversion.sources import Remark
from surgvista_jax.data.labels.splits import cut, seeded_order
from surgvista_jax.data.labels.tables import read_rows
from surgvista_jax.data.labels.track import Interval, IntervalLabels
from surgvista_jax.errors import UserError

PHASES = (
    "Incision",
    "Viscous agent injection",
    "Rhexis",
    "Hydrodissection",
    "Phacoemulsification",
    "Irrigation and aspiration",
    "Capsule polishing",
    "Lens implant setting-up",
    "Viscous agent removal",
    "Tonifying and antibiotics",
)
SIZES = {"train": 60, "val": 13, "test": 28}
NUM_FOLDS = 5
LAYOUT = """\
SOURCE/
  videos/case_269.mp4 …       (or videos/269.mp4; or frames/269/*.png, one a second)
  videos.csv                  VideoID;Frames;FPS;Surgeon;Experience
      269;14734;25;4;1
  annotations.csv             where each phase begins; phases 1 to 10, 25 frames a second:
      VideoID;FrameNo;Phase
      269;68;1
      269;1043;2"""


def read(folder: Path) -> Reading:
    """Reads Cataract-101's official folder."""
    lengths = read_lengths(folder / "videos.csv")
    starts = read_starts(folder / "annotations.csv", lengths)
    places = {
        video: (f"videos/case_{video}", f"videos/{video}", f"frames/{video}", f"case_{video}")
        for video in lengths
    }
    sources, notes = gather(folder, places)
    recordings = [
        Recording(source, partial(phases, starts.get(source.video, []), *lengths[source.video]))
        for source in sources
    ]
    notes += [
        Remark("annotations.csv", "phases are numbered from 1; counted from 0"),
        Remark("annotations.csv", "frames before the first phase are unlabelled"),
        Remark("splits", "the authors drew theirs without a seed; these have the same sizes"),
    ]
    return Reading(recordings, folds(list(lengths)), notes)


def read_lengths(path: Path) -> dict[str, tuple[int, float]]:
    """Reads video -> number of frames and frames a second."""
    lengths = {}
    for row in read_rows(path, ("VideoID", "Frames", "FPS")):
        frames, fps = row.number("Frames", int), row.number("FPS")
        if frames < 1 or fps <= 0:
            raise UserError(f"{row.where}: a video has frames and a rate")
        lengths[row.cells["VideoID"].strip()] = frames, fps
    return dict(sorted(lengths.items()))


def read_starts(path: Path, known: dict) -> dict[str, list[tuple[int, int]]]:
    """Reads video -> (first frame, phase from 0) of each phase, in order."""
    starts: dict[str, list[tuple[int, int]]] = {}
    for row in read_rows(path, ("VideoID", "FrameNo", "Phase")):
        video = row.cells["VideoID"].strip()
        frame, phase = row.number("FrameNo", int), row.number("Phase", int)
        if video not in known:
            raise UserError(f"{row.where}: videos.csv has no video {video}")
        if not 1 <= phase <= len(PHASES):
            raise UserError(f"{row.where}: phase {phase} is not from 1 to {len(PHASES)}")
        before = starts.setdefault(video, [])
        if before and frame < before[-1][0]:
            raise UserError(f"{row.where}: frame {frame} comes after {before[-1][0]}")
        before.append((frame, phase - 1))
    return starts


def phases(starts: list[tuple[int, int]], num_frames: int, fps: float) -> IntervalLabels:
    """Each phase lasts until the next begins, and the last until the end.

    Where the last two lines name one phase, the last one tells where that ends.
    """
    end = num_frames
    notes = []
    if len(starts) > 1 and starts[-1][1] == starts[-2][1]:
        end = starts[-1][0]
        starts = starts[:-1]
        notes.append("the last line ends the phase of the line before")
    ends = [frame for frame, _ in starts[1:]] + [end]
    intervals = tuple(
        Interval(frame / fps, stop / fps, phase)
        for (frame, phase), stop in zip(starts, ends, strict=True)
        if stop > frame
    )
    if len(intervals) < len(starts):
        notes.append("phases that begin at the same frame as the next one have no frame")
    return IntervalLabels(intervals, notes=tuple(notes))


@cache
def _fold(videos: tuple[str, ...], fold: int) -> dict[str, tuple[str, ...]]:
    return cut(seeded_order(videos, fold), SIZES)


def folds(videos: list[str]) -> dict[str, tuple[str, ...]]:
    """Five folds, the first of which gives the usual splits too."""
    splits = dict(_fold(tuple(videos), 1))
    for fold in range(1, NUM_FOLDS + 1):
        for split, members in _fold(tuple(videos), fold).items():
            splits[f"fold{fold}/{split}"] = members
    return splits


DATASET = Official(
    name="cataract101",
    title="Cataract-101",
    task="phase",
    classes=PHASES,
    read=read,
    layout=LAYOUT,
    procedure="cataract surgery",
    centre="Klinikum Klagenfurt",
    licence="CC BY-NC 4.0",
    access="https://ftp.itec.aau.at/datasets/ovid/cat-101",
    citation=(
        "K. Schoeffmann et al., Cataract-101: video dataset of 101 cataract surgeries, "
        "ACM Multimedia Systems 2018"
    ),
    published={split: Counts(count) for split, count in SIZES.items()},
)
