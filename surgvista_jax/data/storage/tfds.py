"""Prepared TFDS folders as dataset folders, without TensorFlow.

TensorFlow Datasets keeps its examples in ArrayRecord files beside `dataset_info.json` and
`features.json`. A feature that is a sequence of images (`Video` among them) makes each example a
video. A plain `Image` feature makes each example a frame: examples that agree in a feature `video`
or `video_id` are one video, in the order of `frame` or `frame_id`; without these each example is a
video of one frame. A `ClassLabel` called `label` is read: of an example, or of each frame of a
sequence. A dataset with one label a video is taken for actions, any other for phases.

The `Video` feature itself cannot be made without TensorFlow, so that the images are taken from the
examples as they are stored. A sequence lies in one record: a clip costs reading all of its bytes.
"""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.storage.decode import EncodedFrames
from surgvista_jax.data.storage.tfds_features import (
    ImageFeature,
    LabelFeature,
    image_feature,
    label_feature,
)
from surgvista_jax.errors import UserError

_FPS = 1.0  # frames a second; TFDS records none
_VIDEO_KEYS = ("video", "video_id")
_FRAME_KEYS = ("frame", "frame_id")
# How a manifest names a video: `FOLDER#SPLIT[3]` a sequence, `FOLDER#SPLIT[0:90]` and
# `FOLDER#SPLIT[5,2,9]` examples that are frames.
_SOURCE = re.compile(
    r"(?P<folder>.*)#(?P<split>[\w.-]+)"
    r"\[(?P<examples>\d{1,12}:\d{1,12}|\d{1,12}(?:,\d{1,12})*)\]"
)


@dataclass(frozen=True)
class TfdsFrames(EncodedFrames):
    """The frames of one video of a TFDS folder: one example, or one example a frame."""

    folder: Path
    split: str
    examples: range | tuple[int, ...]
    num_frames: int

    def encoded(self, frame_ids: list[int]) -> Iterator[bytes | None]:
        try:
            feature = image_feature(self.folder)
            if feature.sequence:
                images = _read_images(self.folder, self.split, self.examples[0], feature.key)
                yield from (images[i] if i < len(images) else None for i in frame_ids)
                return
        except (OSError, RuntimeError, ValueError, IndexError):
            yield from [None] * len(frame_ids)
            return
        for frame_id in frame_ids:
            try:
                example = self.examples[frame_id]
                yield _read_images(self.folder, self.split, example, feature.key)[0]
            except (OSError, RuntimeError, ValueError, IndexError):
                yield None


def is_tfds(folder: Path) -> bool:
    """Whether a folder is a prepared TFDS dataset (of one version)."""
    folder = Path(folder)
    return (folder / "features.json").is_file() and (folder / "dataset_info.json").is_file()


def source_folder(source: str) -> str:
    """The path in a `source` of a manifest: all of it, but for what names a TFDS example."""
    match = _SOURCE.fullmatch(source)
    return match["folder"] if match else source


def find_tfds(folder: Path, source: str, num_frames: int) -> TfdsFrames | None:
    """The frames that a manifest's `source` names, None where it does not name a TFDS example."""
    match = _SOURCE.fullmatch(source)
    if match is None or not is_tfds(Path(folder) / match["folder"]):
        return None
    numbers = match["examples"]
    examples: range | tuple[int, ...]
    if ":" in numbers:
        examples = range(*map(int, numbers.split(":")))
    else:
        examples = tuple(map(int, numbers.split(",")))
    return TfdsFrames(Path(folder) / match["folder"], match["split"], examples, num_frames)


def read_tfds(folder: Path) -> Dataset:
    """The folder as a dataset; reads every example once, decodes none.

    Raises:
        UserError: it is not an ArrayRecord folder, has no images, or an example cannot be read, or
            has other labels than one a frame.
    """
    folder = Path(folder)
    feature = image_feature(folder)
    label = label_feature(folder, feature)
    info = _info(folder)
    listed = {split: _list_split(folder, split, feature, label) for split in info.splits}
    videos = tuple(Video(*entry) for entries in listed.values() for entry in entries)
    if not videos:
        raise UserError(f"{folder}: no example in any of its splits")
    task = "none"
    if label is not None:
        task = "action" if all(len(set(video.labels or ())) == 1 for video in videos) else "phase"
    return Dataset(
        folder=folder,
        name=info.name,
        task=task,
        classes=() if label is None else label.classes,
        label_kind="single",
        fps=_FPS,
        splits={split: tuple(entry[0] for entry in entries) for split, entries in listed.items()},
        procedure="",
        licence="",
        citation="",
        source_format="tfds",
        videos=videos,
    )


def _list_split(
    folder: Path, split: str, feature: ImageFeature, label: LabelFeature | None
) -> list[tuple[str, str, float, int, tuple[int, ...] | None]]:
    """Video, source, frame rate, number of frames and labels of each video of a split."""
    examples = _examples(folder, split)
    video_key = next((key for key in _VIDEO_KEYS if key in feature.siblings), None)
    frame_key = next((key for key in _FRAME_KEYS if key in feature.siblings), None)
    videos: list[tuple[str, str, float, int, tuple[int, ...] | None]] = []
    frames: dict[str | int, list[tuple]] = {}
    for number in range(len(examples)):
        where = f"{folder}: example {number} of {split!r}"
        try:
            values = _parse(examples[number])
        except (OSError, RuntimeError, ValueError) as error:
            text = str(error).split("\n")[0]
            raise UserError(f"{where}: {text}") from None
        count = len(values[feature.key].bytes_list.value)
        labels = None if label is None else label.of(values, count, where)
        if feature.sequence:
            source = f".#{split}[{number}]"
            videos.append((f"{split}/{number:06d}", source, _FPS, count, labels))
            continue
        name = _value(values, video_key) if video_key else f"{number:06d}"
        place = _value(values, frame_key) if frame_key else number
        frames.setdefault(name, []).append((place, number, labels))
    for name, places in frames.items():
        _, numbers, of_frames = zip(*sorted(places), strict=True)
        named = ",".join(map(str, numbers))
        if len(numbers) > 1 and numbers == tuple(range(numbers[0], numbers[-1] + 1)):
            named = f"{numbers[0]}:{numbers[-1] + 1}"
        source = f".#{split}[{named}]"
        ids = None if label is None else tuple(each for (each,) in of_frames)
        videos.append((f"{split}/{name}", source, _FPS, len(numbers), ids))
    return videos


def _value(values: Any, key: str) -> str | int:
    feature = values[key]
    if feature.int64_list.value:
        return feature.int64_list.value[0]
    return b"".join(feature.bytes_list.value).decode(errors="replace")


def _read_images(folder: Path, split: str, number: int, key: str) -> list[bytes]:
    return list(_parse(_examples(folder, split)[number])[key].bytes_list.value)


def _parse(example: bytes) -> Any:
    """The features of a serialized example, by their names."""
    from tensorflow_datasets.proto import tf_example_pb2

    try:
        return tf_example_pb2.Example.FromString(example).features.feature
    except Exception as error:  # of protobuf, whose class depends on its implementation
        raise ValueError(f"not an example: {error}") from None


@functools.lru_cache(maxsize=16)
def _info(folder: Path) -> SimpleNamespace:
    """Name and splits of a folder, as TFDS's data sources want them."""
    # Imported here, since it takes a second, in every worker too.
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import dataset_info, naming

    path = folder / "dataset_info.json"
    try:
        proto = dataset_info.read_proto_from_builder_dir(folder)
    except Exception as error:
        raise UserError(f"{path}: not a description of a TFDS dataset: {error}") from None
    if proto.file_format != "array_record":
        raise UserError(
            f"{path}: its file format is {proto.file_format or 'tfrecord'!r}; prepare it with "
            "file_format='array_record'"
        )
    template = naming.ShardedFileTemplate(
        data_dir=folder, dataset_name=proto.name, filetype_suffix=proto.file_format
    )
    splits = tfds.core.splits.SplitDict.from_proto(proto.splits, filename_template=template)
    return SimpleNamespace(name=proto.name, splits=splits)


@functools.lru_cache(maxsize=64)
def _examples(folder: Path, split: str) -> Any:
    """The serialized examples of a split."""
    from tensorflow_datasets.core.data_sources.array_record import ArrayRecordDataSource
    from tensorflow_datasets.core.decode import DeserializeMethod

    info = _info(folder)
    if split not in info.splits:
        raise UserError(f"{folder}: no split {split!r}; it has: {', '.join(info.splits)}")
    return ArrayRecordDataSource(info, split=split, deserialize_method=DeserializeMethod.RAW_BYTES)
