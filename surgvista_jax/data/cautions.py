"""What whoever trains on a dataset should be told of it first, though nothing in it is wrong."""

import math
from collections.abc import Sequence

import numpy as np

from surgvista_jax.counted import counted
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.labels.coverage import class_counts, classes_without_training, named

# The published clip, by which a dataset is judged before any run has said its own.
USUAL_FRAMES = 16
USUAL_STRIDE = 4
_CHOOSING = "configs/pretrain/own.py and configs/finetune/own.py"


def long_clip(
    videos: Sequence[Video],
    num_frames: int,
    stride: int,
    sampling: str = "past",
    key: str = "clip",
) -> str | None:
    """Says that a clip is longer than most of the videos, and what to change; None if it is not.

    Args:
        videos: what clips are taken of.
        num_frames: of a clip.
        stride: frames from one to the next.
        sampling: as of `ClipConfig`; "uniform" spreads a clip over a video, whatever its length.
        key: where the user says the clip.
    """
    whole = sampling == "uniform"
    span = num_frames if whole else (num_frames - 1) * stride + 1
    lengths = np.array([video.num_frames for video in videos])
    short = int((lengths < span).sum())
    if num_frames == 1 or 2 * short <= len(lengths):
        return None
    rate = float(np.median([video.fps for video in videos]))
    seconds = float(np.median([video.num_frames / video.fps for video in videos]))
    wanted = math.ceil(span / seconds) if seconds else 0
    ways = [f"extract more frames a second (`data convert --fps {wanted}`)"] if seconds else []
    if whole:
        clips = f"clips of {counted(num_frames, 'frame')}"
        repeated = "the last frame is repeated"
        ways.append(f"lower {key}.num_frames")
    else:
        clips = f"clips of {num_frames} x {stride}"
        repeated = "earlier frames are the first one again"
        fitting = (int(np.median(lengths)) - 1) // (num_frames - 1)
        ways.append(f"lower {key}.stride (to {fitting})" if 0 < fitting < stride else "")
        ways.append(f"lower {key}.num_frames")
        ways.append(f"spread one clip over each video ({key}.sampling=uniform)")
    return (
        f"{clips} at {rate:g} fps span {span / rate:.3g} s, the median video {seconds:.3g} s: in "
        f"{short} of {len(videos)} videos {repeated}; {', or '.join(filter(None, ways))}"
    )


def long_usual_clip(dataset: Dataset) -> str | None:
    """`long_clip` of the published clip, and who takes another; actions spread it over a video."""
    sampling = "uniform" if dataset.task == "action" else "past"
    text = long_clip(dataset.videos, USUAL_FRAMES, USUAL_STRIDE, sampling)
    return text and f"{_CHOOSING} choose a clip that fits these videos; as published, {text}"


def never_learnt(dataset: Dataset, where: str = "training videos") -> str | None:
    """Names the classes that training cannot learn, as none of its videos shows them; else None.

    Args:
        dataset: of the training videos alone.
        where: what these are called.
    """
    ids = tuple(video.video for video in dataset.videos)
    counts = {v.video: class_counts(v.labels, len(dataset.classes)) for v in dataset.videos}
    absent = classes_without_training(counts, {"train": ids}, dataset.classes).get("train", ())
    if not absent or not any(video.labels for video in dataset.videos):
        return None
    return f"{where}: {len(absent)} of {len(dataset.classes)} classes do not occur: {named(absent)}"


def unlearnt_in_splits(dataset: Dataset) -> list[str]:
    """`never_learnt` of each training split: "train", or "SCHEME/train"; of all without splits."""
    if not dataset.splits:
        text = never_learnt(dataset, "all videos")
        return [text] if text else []
    texts = [
        never_learnt(dataset.split(split), f"split {split}")
        for split in dataset.splits
        if split.rpartition("/")[2] == "train"
    ]
    return [text for text in texts if text]
