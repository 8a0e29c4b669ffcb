"""Dataset folders to be checked, and what is found in them."""

from pathlib import Path

from surgvista_jax.commands.data_check import check
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.storage.manifest import read_dataset, write_dataset
from tests.support import footage


def make(folder: Path, videos: dict[str, list], splits: dict, **changes) -> Dataset:
    """A dataset folder whose videos have these labels and frames that tell their numbers."""
    entries = []
    for number, (video, labels) in enumerate(videos.items()):
        frames = folder / "frames" / video
        footage.write_images(frames, [(32, 24 + number)] * len(labels), ".jpg", "{:06d}")
        entries.append(Video(video, f"frames/{video}", 1.0, len(labels), tuple(labels)))
    fields = {
        "folder": folder,
        "name": "Made up",
        "task": "phase",
        "classes": ("first", "second"),
        "label_kind": "single",
        "fps": 1.0,
        "splits": splits,
        "procedure": "",
        "licence": "",
        "citation": "",
        "source_format": "videos",
        "videos": tuple(entries),
    }
    dataset = Dataset(**fields | changes)
    write_dataset(dataset)
    return read_dataset(folder)


def sound_folder(folder: Path) -> Dataset:
    """Two videos of two phases, one on either side."""
    videos = {"a": [0] * 20 + [1] * 20, "b": [0] * 20 + [1] * 20}
    return make(folder, videos, {"train": ("a",), "test": ("b",)})


def found(dataset: Dataset, *pretraining: Dataset) -> dict[str, str]:
    """Topic and level -> text, of all but what is good."""
    report = check(dataset, list(pretraining))
    return {f"{f.topic} {f.level}": f.text for f in report.findings if f.level != "good"}
