"""Videos that are tested neither train nor choose, unless that is asked for."""

import dataclasses
from pathlib import Path

import pytest

from surgvista_jax.data.batches.division import SplitConfig, divide, training_and_validation
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.errors import UserError
from tests.support import feature_run

SPLITS = SplitConfig()


def ids(dataset):
    return {video.video for video in dataset.videos}


@pytest.fixture
def dataset(tmp_path):
    return feature_run.make_dataset(tmp_path)


def with_splits(dataset, **splits):
    named = {name: tuple(f"video{k}" for k in numbers) for name, numbers in splits.items()}
    return dataclasses.replace(dataset, splits=named)


def test_the_splits_are_taken_as_they_are(dataset):
    parts = divide(dataset, SPLITS, "val")
    assert ids(parts.train) == set(dataset.splits["train"])
    assert ids(parts.selection) == set(dataset.splits["val"])
    assert ids(parts.test) == set(dataset.splits["test"])
    assert parts.selected_on == "val"
    assert parts.summary() == "phases: train on 6 videos, select on 2 (val), test on 2"


def test_without_a_validation_split_training_videos_choose(dataset):
    dataset = with_splits(dataset, train=range(8), test=(8, 9))
    parts = divide(dataset, SPLITS, "val")
    assert len(ids(parts.selection)) == 2
    assert not ids(parts.selection) & ids(parts.train)
    assert ids(parts.selection) | ids(parts.train) == set(dataset.splits["train"])
    assert parts.selected_on == "held-out train"


def test_the_test_videos_choose_only_when_told(dataset):
    parts = divide(dataset, SPLITS, "test")
    assert parts.selected_on == "test" and ids(parts.selection) == ids(parts.test)
    assert ids(parts.train) == set(dataset.splits["train"])


def test_no_test_split_is_asked_for(dataset):
    parts = divide(dataset, dataclasses.replace(SPLITS, test=""), "val")
    assert parts.test is None and "test" not in parts.summary()
    with pytest.raises(UserError, match="data.test must name"):
        divide(dataset, dataclasses.replace(SPLITS, test=""), "test")


@pytest.mark.parametrize(
    ("splits", "shared"),
    [
        ({"train": (0, 1), "val": (2,), "test": (1, 3)}, "'train' and 'test'"),
        ({"train": (0, 1), "val": (1,), "test": (3,)}, "'train' and 'val'"),
        ({"train": (0, 1), "val": (2,), "test": (2, 3)}, "'val' and 'test'"),
    ],
)
def test_splits_that_share_videos(dataset, splits, shared):
    with pytest.raises(UserError, match=f"splits {shared} share 1 video"):
        divide(with_splits(dataset, **splits), SPLITS, "val")


def test_a_missing_split_is_named(dataset):
    with pytest.raises(UserError, match="no split 'tset'"):
        divide(dataset, dataclasses.replace(SPLITS, test="tset"), "val")
    with pytest.raises(UserError, match="no split 'vla'; did you mean 'val'"):  # not held out
        divide(dataset, dataclasses.replace(SPLITS, val="vla"), "val")
    with pytest.raises(UserError, match="no split 'test'.*; it has: train, val"):
        divide(with_splits(dataset, train=(0, 1), val=(2,)), SPLITS, "val")


def operations(patients, **splits) -> Dataset:
    """A video for each patient named, None for one unknown; the last two are the test's."""
    videos = tuple(
        Video(f"v{number}", f"v{number}", 1.0, 5, (0,) * 5, patient)
        for number, patient in enumerate(patients)
    )
    ids = tuple(video.video for video in videos)
    texts = dict.fromkeys(("name", "procedure", "licence", "citation", "source_format"), "")
    return Dataset(
        folder=Path("set"),
        task="phase",
        classes=("a",),
        label_kind="single",
        fps=1.0,
        splits={"train": ids[:-2], "test": ids[-2:]} | splits,
        videos=videos,
        **texts,
    )


def names(part) -> list[str]:
    return [video.video for video in part.videos]


def divided(data, share=0.2, seed=0, val="val"):
    training, validation, held_out = training_and_validation(data, "train", val, share, seed)
    assert list(training.splits["train"]) == names(training)
    assert list(validation.splits[val]) == names(validation)
    return names(training), names(validation), held_out


@pytest.mark.parametrize(("share", "count"), [(0.2, 2), (0.05, 1), (0.5, 5), (0.9, 9)])
def test_a_share_of_the_training_videos_and_nothing_else(share, count):
    data = operations([None] * 12)
    training, validation, held_out = divided(data, share)
    assert held_out and len(validation) == count
    assert sorted(training + validation) == sorted(data.splits["train"])


def test_patients_stay_whole():
    patients = ["a", "a", "a", "b", "b", "c", "c", "c", "d", "e", "x", "x"]
    owner = {f"v{number}": patient for number, patient in enumerate(patients)}
    for seed in range(10):
        training, validation, _ = divided(operations(patients), seed=seed)
        assert not {owner[video] for video in training} & {owner[video] for video in validation}
        assert validation
        respelled = [f" {p.upper()}" if k % 2 else p for k, p in enumerate(patients)]
        training, validation, _ = divided(operations(respelled), seed=seed)
        assert not {owner[video] for video in training} & {owner[video] for video in validation}


def test_the_draw_depends_on_the_seed_alone():
    data = operations([None] * 12)
    turned = dataclasses.replace(
        data, splits=data.splits | {"train": data.splits["train"][::-1]}, videos=data.videos[::-1]
    )
    assert set(divided(data)[1]) == set(divided(turned)[1])
    assert len({tuple(divided(data, seed=seed)[1]) for seed in range(10)}) > 3


def test_a_split_that_is_there_is_taken():
    data = operations([None] * 12, train=("v0", "v1"), val=("v2",))
    assert divided(data) == (["v0", "v1"], ["v2"], False)
    # One without videos is none, and neither is one without a name.
    assert divided(operations([None] * 12, val=()))[2]
    assert divided(data, val="")[2]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_nothing_to_hold_out_is_one_line(share):
    with pytest.raises(UserError, match="no split 'val'.*data.hold_out=") as error:
        divided(operations([None] * 12), share)
    assert "\n" not in str(error.value)


def test_one_patient_cannot_be_on_both_sides():
    with pytest.raises(UserError, match="'train' has 1 patient"):
        divided(operations(["a"] * 5))
    with pytest.raises(UserError, match="no split 'other'"):
        training_and_validation(operations([None] * 5), "other", "val", 0.2, 0)
