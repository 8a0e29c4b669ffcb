"""How many clips has a dataset? Counted where it lies here, else as published, else assumed."""

from collections.abc import Mapping
from typing import NamedTuple

from surgvista_jax.data.dataset import UNLABELLED, Video
from surgvista_jax.data.datasets import registry
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.studies.cells import Data
from surgvista_jax.synthetic.operation import ACTIONS

COUNTED, PUBLISHED, ASSUMED = "counted", "published", "assumed"
FRAMES_OF_A_VIDEO = 2000  # where no number is published: half an hour at a frame a second
_HOLD_OUT = 0.2  # of the training videos, where none are for selection


class Clips(NamedTuple):
    """Clips of a dataset, one for each labelled frame, or for each video that is one clip.

    Attributes:
        train, selection, test: of each part.
        frames: of all videos, labelled or not.
        training_frames: of those for training, labelled or not, with none held out for selection.
        source: "counted", "published" or "assumed".
    """

    train: float
    selection: float
    test: float
    frames: float
    training_frames: float
    source: str


def clips_of(data: Data, uniform: bool) -> Clips | None:
    """The clips of a dataset; None where nothing is known of it.

    Args:
        uniform: whether a video is one clip.
    """
    if data.made_by:
        return _of_made(data, uniform)
    try:
        dataset = read_dataset(data.folder)
    except UserError:  # it lies where the study will run, or is not there yet
        return _published(data.name, uniform)
    parts: Mapping[str, tuple[str, ...]] = dataset.splits or {
        "train": tuple(video.video for video in dataset.videos)
    }
    each = {video.video: _labelled(video, uniform) for video in dataset.videos}
    sums = {name: sum(each.get(video, 0) for video in ids) for name, ids in parts.items()}
    frames = {video.video: video.num_frames for video in dataset.videos}
    training = sum(frames.get(video, 0) for video in parts.get("train", ()))
    return _divided(sums, sum(frames.values()), training, COUNTED)


def _labelled(video: Video, uniform: bool) -> int:
    if uniform or video.labels is None:
        return 1 if uniform else video.num_frames
    return sum(label != UNLABELLED for label in video.labels)


def _published(name: str, uniform: bool) -> Clips | None:
    official = registry().get(name)
    if official is None or not official.published:
        return None
    sums: dict[str, float] = {}
    source = PUBLISHED
    for split, counts in official.published.items():
        if "/" in split or counts.videos is None and counts.frames is None:
            continue
        if uniform and counts.videos is not None:
            sums[split] = counts.videos
        elif counts.frames is not None:
            sums[split] = counts.frames
        else:
            sums[split], source = FRAMES_OF_A_VIDEO * (counts.videos or 0), ASSUMED
    return _divided(sums, sum(sums.values()), sums.get("train", 0.0), source) if sums else None


def _of_made(data: Data, uniform: bool) -> Clips | None:
    """Of `surgvista data synthetic`, whose splits have shares of all its videos."""
    words = " ".join(data.made_by).replace("=", " ").split()
    told = dict(zip(words[::2], words[1::2], strict=False))
    is_action = data.task == "action"
    try:
        videos = int(told.get("--videos", 60)) * (len(ACTIONS) if is_action else 1)
        frames = int(told.get("--frames", 30 if is_action else 200))
    except ValueError:  # the command says what is wrong with them
        return None
    clips, total = videos * (1 if uniform else frames), videos * frames
    return Clips(0.6 * clips, 0.15 * clips, 0.25 * clips, total, 0.6 * total, COUNTED)


def _divided(sums: Mapping[str, float], frames: float, training: float, source: str) -> Clips:
    train, test = sums.get("train", 0.0), sums.get("test", 0.0)
    if "val" in sums:
        return Clips(train, sums["val"], test, frames, training, source)
    return Clips((1 - _HOLD_OUT) * train, _HOLD_OUT * train, test, frames, training, source)
