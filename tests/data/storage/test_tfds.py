"""Does a prepared TFDS folder serve as a dataset folder, without TensorFlow?"""

import dataclasses
import json
import sys

import numpy as np
import pytest
import tensorflow_datasets as tfds

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.crop import AugmentConfig
from surgvista_jax.data.batches.labelled import finetune_batches
from surgvista_jax.data.batches.masked import LoaderConfig
from surgvista_jax.data.batches.share import Share
from surgvista_jax.data.storage import tfds as tfds_folders
from surgvista_jax.data.storage.manifest import read_dataset, write_dataset
from surgvista_jax.data.storage.open import open_frames
from surgvista_jax.errors import UserError
from tests.support import footage
from tests.support.masked_batches import assert_same, batches
from tests.support.places import GOLDEN
from tests.support.tfds_folder import (
    IMAGE,
    INTEGER,
    TEXT,
    VIDEO,
    class_label,
    features_dict,
    jpeg,
    sequence,
    write_tfds,
)

TINY = GOLDEN / "tiny_tfds"  # as TFDS prepared it


def video_folder(folder, feature=VIDEO):
    """Three videos of 5, 3 and 9 frames in two shards of `train`, one of 2 in `test`."""

    def example(first, count):
        return {"video": [jpeg(first + k) for k in range(count)], "name": b"x"}

    train = [[example(0, 5), example(10, 3)], [example(20, 9)]]
    return write_tfds(
        folder,
        {"name": TEXT, "video": feature},
        {"train": train, "test": [[example(40, 2)]]},
    )


def image_folder(folder, keys=("video", "frame")):
    """Frames of two videos, shuffled as TFDS does it: frame f of video v tells 16 v + f."""
    order = np.random.default_rng(0).permutation(12)
    examples = [
        {"image": jpeg(16 * (n // 6) + n % 6), "video": b"ab"[n // 6 : n // 6 + 1], "frame": n % 6}
        for n in map(int, order)
    ]
    features = {"image": IMAGE, "video": TEXT, "frame": INTEGER}
    kept = {"image", *keys}
    shards = [[{k: v for k, v in e.items() if k in kept} for e in examples]]
    features = {key: value for key, value in features.items() if key in kept}
    return write_tfds(folder, features, {"train": [shards[0][:7], shards[0][7:]]})


def read(dataset, video):
    entry = next(entry for entry in dataset.videos if entry.video == video)
    return open_frames(dataset.folder, entry).read(np.arange(entry.num_frames))


def test_a_folder_that_tfds_has_prepared():
    """Videos of 5, 3 and 9 frames that tell 0, 16 and 32 on, shuffled; and one without a label."""
    dataset = read_dataset(TINY)
    assert (dataset.name, dataset.task) == ("tiny_tfds", "action")
    assert dataset.classes == ("cutting", "suturing")
    assert {split: len(ids) for split, ids in dataset.splits.items()} == {"train": 3, "test": 1}
    told = {}
    for video in dataset.videos:
        frames, unreadable = read(dataset, video.video)
        assert not unreadable.any()
        told[footage.numbers(frames)[0]] = footage.numbers(frames), video.labels
    assert told == {
        0: (list(range(5)), (0,) * 5),
        16: (list(range(16, 19)), (1,) * 3),
        32: (list(range(32, 41)), (0,) * 9),
        48: ([48, 49], (-1, -1)),
    }
    assert "tensorflow" not in sys.modules


def test_what_tests_write_is_what_tfds_writes(tmp_path):
    def example(first, count, label):
        return {"video": [jpeg(first + k) for k in range(count)], "label": label}

    train = [example(16, 3, 1), example(32, 9, 0), example(0, 5, 0)]
    splits = {"train": [train], "test": [[example(48, 2, -1)]]}
    write_tfds(tmp_path / "toy", {"label": class_label(2), "video": VIDEO}, splits)
    (tmp_path / "toy" / "label.labels.txt").write_text("cutting\nsuturing\n")
    theirs, ours = read_dataset(TINY), read_dataset(tmp_path / "toy")
    assert dataclasses.replace(ours, folder=theirs.folder, name=theirs.name) == theirs


@pytest.mark.parametrize("feature", [VIDEO, sequence(IMAGE)])
def test_examples_of_a_video_feature_are_videos(tmp_path, feature):
    dataset = read_dataset(video_folder(tmp_path / "toy/1.0.0", feature))
    assert dataset.name == "toy" and dataset.task == "none"
    assert {split: len(ids) for split, ids in dataset.splits.items()} == {"train": 3, "test": 1}
    assert [video.num_frames for video in dataset.split("train").videos] == [5, 3, 9]
    frames, unreadable = read(dataset, "train/000002")
    assert footage.numbers(frames) == list(range(20, 29)) and not unreadable.any()
    assert footage.numbers(read(dataset, "test/000000")[0]) == [40, 41]
    assert "tensorflow" not in sys.modules


def test_images_are_found_in_sequences_of_steps(tmp_path):
    steps = sequence(features_dict({"camera": IMAGE}))
    examples = [{"steps/camera": [jpeg(k) for k in range(4)]}]
    dataset = read_dataset(write_tfds(tmp_path / "toy", {"steps": steps}, {"train": [examples]}))
    assert footage.numbers(read(dataset, "train/000000")[0]) == [0, 1, 2, 3]


def test_labels_of_frames_are_phases(tmp_path):
    """Of a sequence beside that of the images, and of frames that are examples of their own."""
    steps = sequence(features_dict({"camera": IMAGE, "label": class_label(3)}))
    example = {"steps/camera": [jpeg(k) for k in range(4)], "steps/label": [0, 0, 2, -1]}
    dataset = read_dataset(write_tfds(tmp_path / "toy", {"steps": steps}, {"train": [[example]]}))
    assert (dataset.task, dataset.classes) == ("phase", ("0", "1", "2"))
    assert dataset.videos[0].labels == (0, 0, 2, -1)
    features = {"image": IMAGE, "video": TEXT, "frame": INTEGER, "label": class_label(3)}
    examples = [
        {"image": jpeg(k), "video": b"a", "frame": k, "label": k // 2} for k in (2, 5, 0, 3, 1, 4)
    ]
    dataset = read_dataset(write_tfds(tmp_path / "frames", features, {"train": [examples]}))
    assert dataset.task == "phase" and dataset.videos[0].labels == (0, 0, 1, 1, 2, 2)
    with finetune_batches(
        dataset,
        ClipConfig(num_frames=2, stride=1, size=32),
        AugmentConfig(),
        LoaderConfig(threads=1, buffer=1),
        Share(6, np.arange(6), start_step=0, num_steps=1),
        seed=0,
    ) as loader:
        (batch,) = loader
    np.testing.assert_array_equal(batch["label"], batch["frame"] // 2)


@pytest.mark.parametrize(
    ("label", "said"),
    [
        ([0, 1, 1], r"example 0 of 'train': 3 values of 'label', 4 frames"),
        ([0, 1, 2, 1], r"example 0 of 'train': 'label' is not from -1 to 1"),
    ],
)
def test_labels_that_fit_no_frames_are_named(tmp_path, label, said):
    features = {"video": VIDEO, "label": sequence(class_label(2))}
    example = {"video": [jpeg(k) for k in range(4)], "label": label}
    with pytest.raises(UserError, match=said):
        read_dataset(write_tfds(tmp_path / "toy", features, {"train": [[example]]}))


@pytest.mark.parametrize("count", ["x", "", None, "0", "9" * 20, "9" * 5000, [], "1e999"])
def test_a_number_of_classes_that_is_none_is_one_line(tmp_path, count):
    label = class_label(2)
    label["classLabel"]["numClasses"] = count
    example = {"video": [jpeg(0)], "label": [0]}
    folder = write_tfds(
        tmp_path / "toy", {"video": VIDEO, "label": sequence(label)}, {"train": [[example]]}
    )
    with pytest.raises(UserError, match="toy: the classes of 'label' cannot be read"):
        read_dataset(folder)
    label["classLabel"]["numClasses"] = "2"
    (folder / "features.json").write_text(
        json.dumps(features_dict({"video": VIDEO, "label": sequence(label)}))
    )
    (folder / "label.labels.txt").write_bytes(b"a\n\xff\n")
    with pytest.raises(UserError, match="cannot be read .*utf-8"):
        read_dataset(folder)


def test_shuffled_images_become_videos_in_order(tmp_path):
    dataset = read_dataset(image_folder(tmp_path / "toy"))
    assert [video.num_frames for video in dataset.videos] == [6, 6]
    assert footage.numbers(read(dataset, "train/a")[0]) == list(range(6))
    assert footage.numbers(read(dataset, "train/b")[0]) == list(range(16, 22))


def test_images_without_more_are_videos_of_one_frame(tmp_path):
    dataset = read_dataset(image_folder(tmp_path / "toy", keys=()))
    assert [video.num_frames for video in dataset.videos] == [1] * 12
    told = [footage.numbers(read(dataset, video.video)[0])[0] for video in dataset.videos]
    assert sorted(told) == [*range(6), *range(16, 22)]


def test_tfds_itself_reads_the_same(tmp_path):
    """The folder that the test writes is one that TFDS would have prepared."""
    folder = image_folder(tmp_path / "toy")
    source = tfds.builder_from_directory(folder).as_data_source("train")
    dataset = read_dataset(folder)
    assert len(source) == 12
    for example in source:
        video = f"train/{example['video'].decode()}"
        frames, _ = read(dataset, video)
        np.testing.assert_array_equal(example["image"], frames[example["frame"]])


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("make", [video_folder, image_folder])
def test_batches_come_from_a_tfds_folder(tmp_path, workers, make):
    dataset = read_dataset(make(tmp_path / "toy")).split("train")
    whole = batches(dataset, steps=3)
    loader = LoaderConfig(workers=workers, threads=1, buffer=1)
    assert_same(batches(dataset, steps=3, loader=loader), whole)
    assert not any(batch["unreadable"].any() for batch in whole)


def test_a_dataset_folder_may_name_tfds_examples(tmp_path):
    dataset = read_dataset(image_folder(tmp_path / "toy"))
    videos = tuple(
        dataclasses.replace(video, source=f"../toy{video.source[1:]}") for video in dataset.videos
    )
    write_dataset(dataclasses.replace(dataset, folder=tmp_path / "data", videos=videos))
    again = read_dataset(tmp_path / "data")
    np.testing.assert_array_equal(read(again, "train/b")[0], read(dataset, "train/b")[0])


def test_a_damaged_example_costs_its_frames_alone(tmp_path):
    folder = image_folder(tmp_path / "toy")
    dataset = read_dataset(folder)
    path = folder / "toy-train.array_record-00001-of-00002"
    data = bytearray(path.read_bytes())
    data[data.index(b"\xff\xd8") + 50] ^= 0xFF
    path.write_bytes(data)
    unreadable = [read(dataset, video.video)[1] for video in dataset.videos]
    assert np.sum(unreadable) == 1
    path.unlink()
    dataset = read_dataset(image_folder(tmp_path / "other"))
    (tmp_path / "other/toy-train.array_record-00001-of-00002").unlink()
    tfds_folders._examples.cache_clear()  # a file that is open would still be read
    assert np.sum([read(dataset, video.video)[1] for video in dataset.videos]) == 5


def test_other_folders_are_refused_in_one_line(tmp_path):
    folder = write_tfds(tmp_path / "toy", {"name": TEXT}, {"train": [[{"name": b"x"}]]})
    with pytest.raises(UserError, match=r"features\.json: no feature in it is a video or an image"):
        read_dataset(folder)
    folder = video_folder(tmp_path / "other")
    info = json.loads((folder / "dataset_info.json").read_text())
    (folder / "dataset_info.json").write_text(json.dumps({**info, "fileFormat": "tfrecord"}))
    with pytest.raises(UserError, match=r"dataset_info\.json: its file format is 'tfrecord'"):
        read_dataset(folder)
    folder = video_folder(tmp_path / "third")
    (folder / "features.json").write_text("[]")
    with pytest.raises(UserError, match=r"features\.json: not a description"):
        read_dataset(folder)
