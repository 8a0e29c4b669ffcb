"""Videos that are tested neither train nor choose, unless that is asked for."""

import dataclasses

import feature_run
import pytest

from surgvista_jax.data.division import divide
from surgvista_jax.errors import UserError

NAMES = {"train": "train", "val": "val", "test": "test", "hold_out": 0.2}


def ids(dataset):
    return {video.video for video in dataset.videos}


@pytest.fixture
def dataset(tmp_path):
    return feature_run.make_dataset(tmp_path)


def with_splits(dataset, **splits):
    named = {name: tuple(f"video{k}" for k in numbers) for name, numbers in splits.items()}
    return dataclasses.replace(dataset, splits=named)


def test_the_splits_are_taken_as_they_are(dataset):
    parts = divide(dataset, select_on="val", **NAMES)
    assert ids(parts.train) == set(dataset.splits["train"])
    assert ids(parts.selection) == set(dataset.splits["val"])
    assert ids(parts.test) == set(dataset.splits["test"])
    assert parts.selected_on == "val"
    assert parts.summary() == "phases: train on 6 videos, select on 2 (val), test on 2"


def test_without_a_validation_split_training_videos_choose(dataset):
    dataset = with_splits(dataset, train=range(8), test=(8, 9))
    parts = divide(dataset, select_on="val", **NAMES)
    assert len(ids(parts.selection)) == 2
    assert not ids(parts.selection) & ids(parts.train)
    assert ids(parts.selection) | ids(parts.train) == set(dataset.splits["train"])
    assert parts.selected_on == "held-out train"


def test_the_test_videos_choose_only_when_told(dataset):
    parts = divide(dataset, select_on="test", **NAMES)
    assert parts.selected_on == "test" and ids(parts.selection) == ids(parts.test)
    assert ids(parts.train) == set(dataset.splits["train"])


def test_no_test_split_is_asked_for(dataset):
    parts = divide(dataset, select_on="val", **(NAMES | {"test": ""}))
    assert parts.test is None and "test" not in parts.summary()
    with pytest.raises(UserError, match="data.test must name"):
        divide(dataset, select_on="test", **(NAMES | {"test": ""}))


@pytest.mark.parametrize(
    ("splits", "shared"),
    [
        ({"train": (0, 1), "val": (2,), "test": (1, 3)}, "'train' and 'test'"),
        ({"train": (0, 1), "val": (1,), "test": (3,)}, "'train' and 'val'"),
        ({"train": (0, 1), "val": (2,), "test": (2, 3)}, "'val' and 'test'"),
    ],
)
def test_splits_that_share_videos(dataset, splits, shared):
    with pytest.raises(UserError, match=f"splits {shared} share 1 videos"):
        divide(with_splits(dataset, **splits), select_on="val", **NAMES)


def test_a_missing_split_is_named(dataset):
    with pytest.raises(UserError, match="no split 'test'"):
        divide(with_splits(dataset, train=(0, 1)), select_on="val", **NAMES)
