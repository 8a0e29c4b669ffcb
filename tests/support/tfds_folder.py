"""How do tests come by TFDS folders of every kind? By hand, since preparing one needs TensorFlow.

One that TFDS has prepared is in `tests/data/tiny_tfds`. An ArrayRecord file is 128 KiB at least,
most of it empty; so the others are written when they are needed.
"""

import json
from pathlib import Path

import cv2
from array_record.python.array_record_module import ArrayRecordWriter
from tensorflow_datasets.proto import tf_example_pb2

from tests.support import footage

_FEATURES = "tensorflow_datasets.core.features"
_IMAGE = {"shape": {"dimensions": ["-1", "-1", "3"]}, "dtype": "uint8", "encodingFormat": "jpeg"}
IMAGE = {"pythonClassName": f"{_FEATURES}.image_feature.Image", "image": _IMAGE}
TEXT = {"pythonClassName": f"{_FEATURES}.text_feature.Text", "text": {}}
INTEGER = {
    "pythonClassName": f"{_FEATURES}.scalar.Scalar",
    "tensor": {"shape": {}, "dtype": "int64", "encoding": "none"},
}
VIDEO = {
    "pythonClassName": f"{_FEATURES}.video_feature.Video",
    "video": {
        "shape": {"dimensions": ["-1", "-1", "-1", "3"]},
        "dtype": "uint8",
        "encodingFormat": "jpeg",
    },
}


def class_label(num_classes: int) -> dict:
    return {
        "pythonClassName": f"{_FEATURES}.class_label_feature.ClassLabel",
        "classLabel": {"numClasses": str(num_classes)},
    }


def sequence(feature: dict) -> dict:
    return {
        "pythonClassName": f"{_FEATURES}.sequence_feature.Sequence",
        "sequence": {"feature": feature, "length": "-1"},
    }


def features_dict(features: dict) -> dict:
    return {
        "pythonClassName": f"{_FEATURES}.features_dict.FeaturesDict",
        "featuresDict": {"features": features},
    }


def jpeg(number: int) -> bytes:
    """A frame that tells a number."""
    return cv2.imencode(".jpg", footage.picture(number, 48, 32))[1].tobytes()


def write_tfds(folder: Path, features: dict, splits: dict[str, list[list[dict]]]) -> Path:
    """Writes a folder with the shards of each split, each a list of examples {key: values}."""
    folder.mkdir(parents=True)
    described = []
    for split, shards in splits.items():
        for number, examples in enumerate(shards):
            name = f"toy-{split}.array_record-{number:05d}-of-{len(shards):05d}"
            writer = ArrayRecordWriter(str(folder / name), "group_size:1")
            for example in examples:
                writer.write(_serialize(example))
            writer.close()
        described.append(
            {
                "name": split,
                "shardLengths": [str(len(examples)) for examples in shards],
                "numBytes": "1",
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
            }
        )
    info = {"name": "toy", "version": "1.0.0", "fileFormat": "array_record", "splits": described}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / "features.json").write_text(json.dumps(features_dict(features)))
    return folder


def _serialize(values: dict) -> bytes:
    example = tf_example_pb2.Example()
    for key, value in values.items():
        feature = example.features.feature[key]
        values = value if isinstance(value, list) else [value]
        kind = feature.int64_list if isinstance(values[0], int) else feature.bytes_list
        kind.value.extend(values)
    return example.SerializeToString()
