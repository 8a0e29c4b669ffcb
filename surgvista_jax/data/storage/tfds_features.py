"""Which feature of a prepared TFDS folder holds the frames, and which their labels?"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from surgvista_jax.counted import counted
from surgvista_jax.errors import UserError
from surgvista_jax.json_object import parse

_MOST_CLASSES = 100_000


@dataclass(frozen=True)
class ImageFeature:
    """Where in an example the images are; `siblings` are the keys beside it."""

    key: str
    sequence: bool
    siblings: frozenset[str]


@dataclass(frozen=True)
class LabelFeature:
    """Where in an example its label is, or with `sequence` those of its frames."""

    key: str
    sequence: bool
    classes: tuple[str, ...]

    def of(self, values: Any, num_frames: int, where: str) -> tuple[int, ...]:
        """A label for each frame of an example; -1 means none, in TFDS as here."""
        labels = tuple(values[self.key].int64_list.value)
        if len(labels) != (num_frames if self.sequence else 1):
            raise UserError(
                f"{where}: {len(labels)} values of {self.key!r}, {counted(num_frames, 'frame')}"
            )
        if not all(-1 <= label < len(self.classes) for label in labels):
            raise UserError(f"{where}: {self.key!r} is not from -1 to {len(self.classes) - 1}")
        return labels if self.sequence else labels * num_frames


@functools.lru_cache(maxsize=16)
def image_feature(folder: Path) -> ImageFeature:
    """The feature that holds the frames: the first sequence of images, else the first image.

    Raises:
        UserError: there is none, or `features.json` cannot be read.
    """
    features, walked = _described(folder)
    found = [(key, many) for key, kind, many, _ in walked if kind in ("Video", "Image")]
    if not found:
        path = Path(folder) / "features.json"
        raise UserError(f"{path}: no feature in it is a video or an image")
    key, sequence = next((entry for entry in found if entry[1]), found[0])
    return ImageFeature(key, sequence, frozenset(_features(features)))


def label_feature(folder: Path, image: ImageFeature) -> LabelFeature | None:
    """The `ClassLabel` that is called `label`, for an example or for each of its frames.

    Returns:
        It; None where there is none.

    Raises:
        UserError: its classes cannot be read.
    """
    for key, kind, sequence, node in _described(folder)[1]:
        is_label = kind == "ClassLabel" and key.rpartition("/")[2] == "label"
        if is_label and sequence <= image.sequence:
            return LabelFeature(key, sequence, _class_names(Path(folder), key, node))
    return None


def _class_names(folder: Path, key: str, node: dict) -> tuple[str, ...]:
    path = folder / f"{key.replace('/', '-')}.labels.txt"
    try:
        count = int(node["classLabel"]["numClasses"])
        if not 0 < count <= _MOST_CLASSES:
            raise ValueError(f"numClasses is not from 1 to {_MOST_CLASSES}")
        names = path.read_text(encoding="utf-8").split("\n")[:count] if path.exists() else ()
    except (OSError, ValueError, LookupError, TypeError, OverflowError) as error:
        raise UserError(f"{folder}: the classes of {key!r} cannot be read ({error})") from None
    return tuple(names or map(str, range(count)))


def _described(folder: Path) -> tuple[dict, list[tuple[str, str, bool, dict]]]:
    """What `features.json` says, and what `_walk` yields of its images and labels."""
    path = Path(folder) / "features.json"
    try:
        features = parse(path.read_text(encoding="utf-8"))
        return features, list(_walk(features, "", False))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path}: not a description of TFDS features") from None


def _features(node: dict) -> dict:
    return node.get("featuresDict", node.get("content", {})).get("features", {})


def _walk(node: dict, key: str, sequence: bool) -> Iterator[tuple[str, str, bool, dict]]:
    """Yields key, kind, whether an example has many, and description of what is below a node."""
    kind = node.get("pythonClassName", node.get("type", "")).rsplit(".", 1)[-1]
    if kind in ("Video", "Image", "ClassLabel"):
        yield key, kind, sequence or kind == "Video", node
    elif kind in ("Sequence", "Dataset"):
        yield from _walk(node["sequence"]["feature"], key, True)
    else:
        for name, child in _features(node).items():
            yield from _walk(child, f"{key}/{name}" if key else name, sequence)
