"""Batches of masked clips of a small dataset: what two ways of reading it must have in common."""

from pathlib import Path

import cv2
import numpy as np

from surgvista_jax.data.batches.masked import (
    ClipConfig,
    LoaderConfig,
    MaskConfig,
    pretrain_batches,
)
from surgvista_jax.data.batches.share import Share
from surgvista_jax.data.dataset import Dataset, Video

CLIP = ClipConfig(num_frames=4, stride=2, size=32)
GRID = (2, 4, 4)
MASK = MaskConfig(ratio=0.5)  # 16 tokens visible, 16 hidden
THREADS = LoaderConfig(threads=2, buffer=1)
LENGTHS = (9, 1, 13)
NUM_CLIPS = sum(LENGTHS)


def make_dataset(folder: Path, lengths=LENGTHS) -> Dataset:
    """Videos of smooth noise, no two frames alike."""
    rng = np.random.default_rng(0)
    videos = []
    for number, num_frames in enumerate(lengths):
        source = folder / "frames" / f"video {number}"
        source.mkdir(parents=True)
        for frame in range(num_frames):
            noise = rng.integers(0, 255, (6, 8, 3), np.uint8)
            picture = cv2.resize(noise, (64, 48), interpolation=cv2.INTER_LINEAR)
            (source / f"{frame:06d}.jpg").write_bytes(cv2.imencode(".jpg", picture)[1].tobytes())
        labels = tuple([0] * num_frames)
        videos.append(Video(source.name, f"frames/{source.name}", 1.0, num_frames, labels))
    return Dataset(
        folder=folder,
        name="noise",
        task="none",
        classes=(),
        label_kind="single",
        fps=1.0,
        splits={},
        procedure="",
        licence="",
        citation="",
        source_format="",
        videos=tuple(videos),
    )


def batches(dataset, *, steps=4, start=0, batch_size=4, rows=None, seed=7, **other) -> list[dict]:
    """The batches of steps `start` to `steps` - 1; `other`: clip, mask, loader, weights."""
    settings = {"clip": CLIP, "mask": MASK, "loader": THREADS, "weights": {}, **other}
    rows = np.arange(batch_size) if rows is None else np.asarray(rows)
    with pretrain_batches(
        dataset,
        settings["clip"],
        settings["mask"],
        settings["loader"],
        Share(batch_size, rows, start, steps),
        grid=GRID,
        seed=seed,
        weights=settings["weights"],
    ) as loader:
        return list(loader)


def assert_same(one: list[dict], other: list[dict]) -> None:
    """Every array of every batch is equal, its type included."""
    assert len(one) == len(other)
    for a, b in zip(one, other, strict=True):
        assert a.keys() == b.keys()
        for key in a:
            assert a[key].dtype == b[key].dtype
            np.testing.assert_array_equal(a[key], b[key], err_msg=key)
