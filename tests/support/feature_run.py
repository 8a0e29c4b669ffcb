"""A dataset folder and a features folder on which an MS-TCN trains in seconds."""

from pathlib import Path

import numpy as np

from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.storage.feature_folder import FeatureFolder, create_features
from surgvista_jax.data.storage.features_header import FeaturesHeader
from surgvista_jax.data.storage.manifest import write_dataset

NUM_CLASSES, WIDTH = 4, 8
SPLITS = {"train": (0, 1, 2, 3, 4, 5), "val": (6, 7), "test": (8, 9)}


def make_dataset(folder: Path, splits: dict = SPLITS, relabel=lambda video, labels: labels):
    """Operations of four phases in order, 100 to 160 frames; every tenth frame is unlabelled."""
    rng = np.random.default_rng(0)
    videos = []
    for number in range(10):
        name = f"video{number}"
        (folder / "frames" / name).mkdir(parents=True, exist_ok=True)
        labels = np.repeat(np.arange(NUM_CLASSES), rng.integers(25, 41, NUM_CLASSES))
        labels[9::10] = -1
        labels = tuple(int(label) for label in relabel(name, labels))
        videos.append(Video(name, f"frames/{name}", 1.0, len(labels), labels))
    dataset = Dataset(
        folder=folder,
        name="phases",
        task="phase",
        classes=tuple(f"phase {k}" for k in range(NUM_CLASSES)),
        label_kind="single",
        fps=1.0,
        splits={
            split: tuple(f"video{number}" for number in numbers)
            for split, numbers in splits.items()
        },
        procedure="",
        licence="",
        citation="",
        source_format="",
        videos=tuple(videos),
    )
    write_dataset(dataset)
    return dataset


def header(**changes) -> FeaturesHeader:
    values = {
        "dataset": "phases",
        "fps": 1.0,
        "model": "a made-up backbone",
        "weights": "0" * 64,
        "width": WIDTH,
        "clip_frames": 1,
        "clip_stride": 1,
        "size": 32,
    }
    return FeaturesHeader(**(values | changes))


def make_features(folder: Path, dataset: Dataset) -> FeatureFolder:
    """A direction for each phase in so much noise that single frames are often mistaken."""
    rng = np.random.default_rng(1)
    directions = rng.normal(0, 1, (NUM_CLASSES, WIDTH))
    features = create_features(folder, header())
    for video in dataset.videos:
        # An unlabelled frame looks like the one before it.
        phase = np.maximum.accumulate(np.array(video.labels))
        rows = directions[phase] + rng.normal(0, 1.2, (video.num_frames, WIDTH))
        features.write(video, rows.astype(np.float32))
    return features
