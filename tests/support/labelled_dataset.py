"""A labelled dataset in memory, without frames: its labels are the arguments."""

import dataclasses
from pathlib import Path

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.dataset import Dataset, Video

PAST = ClipConfig(num_frames=4, stride=2)
UNIFORM = dataclasses.replace(PAST, sampling="uniform")


def dataset(*labels, kind="single", classes=("a", "b", "c")) -> Dataset:
    """Videos v0, v1, … with these labels; a video of 5 frames without labels for None."""
    videos = tuple(
        Video(f"v{number}", f"v{number}", 1.0, 5 if found is None else len(found), found)
        for number, found in enumerate(labels)
    )
    texts = dict.fromkeys(("name", "procedure", "licence", "citation", "source_format"), "")
    return Dataset(
        folder=Path("set"),
        task="phase",
        classes=classes,
        label_kind=kind,
        fps=1.0,
        splits={},
        videos=videos,
        **texts,
    )
