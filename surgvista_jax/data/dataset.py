"""The types of a dataset: videos, labels, splits, and the fingerprints that identify it."""

import dataclasses
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from surgvista_jax.errors import UserError
from surgvista_jax.facts import tasks
from surgvista_jax.facts.spelling import near, same_class

TASKS = (tasks.NONE, *tasks.TASKS)
UNLABELLED = -1
TRAIN = "train"  # the split to train on; where there is no split, all videos are


@dataclass(frozen=True, slots=True)
class Video:
    """One line of `videos.jsonl`.

    Attributes:
        video: its id, unique in the dataset.
        source: where its frames are, relative to the dataset folder or absolute.
        fps: frames a second in `source`.
        num_frames: number of frames in `source`.
        labels: one entry a frame: a class id (label kind "single"), a tuple of class ids ("multi"),
            or -1 where the frame has no label; None for a dataset without labels.
        patient: whose operation it is, where known: splits by patient keep it on one side.
        centre: where it was recorded, where known.
        damage: lines on what of it could not be read when its frames were extracted; None: nothing.
    """

    video: str
    source: str
    fps: float
    num_frames: int
    labels: tuple | None = None
    patient: str | None = None
    centre: str | None = None
    damage: tuple[str, ...] | None = None

    @property
    def patient_key(self) -> str | None:
        """The same for every spelling of a patient, as of a class; None where none is known."""
        return None if self.patient is None else same_class(self.patient) or None


@dataclass(frozen=True)
class Dataset:
    """A dataset folder; `splits` maps a name to video ids, and each id is one of `videos`."""

    folder: Path
    name: str
    task: str
    classes: tuple[str, ...]
    label_kind: str
    fps: float
    splits: dict[str, tuple[str, ...]]
    procedure: str
    licence: str
    citation: str
    source_format: str
    videos: tuple[Video, ...]

    def places(self) -> list[tuple[Path, Video]]:
        """The folder and the entry by which frames of each video are opened."""
        return [(self.folder, video) for video in self.videos]

    def parts(self) -> list[tuple[str, int]]:
        """The dataset folders that the videos are of, one after the other, and how many of each."""
        return [(self.folder.resolve().name, len(self.videos))]

    @property
    def sizes(self) -> list[tuple[str, int]]:
        """The id and the number of frames of each video."""
        return [(video.video, video.num_frames) for video in self.videos]

    def part(self, name: str) -> "Dataset":
        """As `split`; of a dataset without any split, all videos are those to train on."""
        return self if not self.splits and name == TRAIN else self.split(name)

    def split(self, name: str) -> "Dataset":
        """The same dataset with the videos of one split only, in the order of that split.

        Raises:
            UserError: there is no split of that name.
        """
        if name not in self.splits:
            known = ", ".join(self.splits) or "none"
            raise UserError(
                f"{self.folder / 'dataset.json'}: no split {name!r}{near(name, [*self.splits])}; it"
                f" has: {known} (`data convert videos --splits` makes others)"
            )
        by_id = {video.video: video for video in self.videos}
        ids = self.splits[name]
        return dataclasses.replace(
            self, splits={name: ids}, videos=tuple(by_id[video_id] for video_id in ids)
        )


def fingerprint(dataset: Dataset) -> str:
    """SHA-256 (hex) of what decides which clips there are: ids, sources, rates and frame counts.

    In their order. The pixels do not enter it, so that it takes no time.
    """
    decisive = [
        [video.video, video.source, video.fps, video.num_frames] for video in dataset.videos
    ]
    return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()


def label_fingerprint(dataset: Dataset) -> str:
    """SHA-256 (hex) of what decides which labelled samples there are: clips, classes and labels."""
    decisive = [fingerprint(dataset), dataset.classes, [video.labels for video in dataset.videos]]
    return hashlib.sha256(json.dumps(decisive).encode()).hexdigest()
