"""Which videos are held out for validation where a dataset has no split for it?"""

import dataclasses
from pathlib import Path

import pytest

from surgvista_jax.data.holdout import training_and_validation
from surgvista_jax.data.manifest import Dataset, Video
from surgvista_jax.errors import UserError


def dataset(patients, **splits) -> Dataset:
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


def ids(part) -> list[str]:
    return [video.video for video in part.videos]


def divided(data, share=0.2, seed=0, val="val"):
    training, validation, held_out = training_and_validation(data, "train", val, share, seed)
    assert list(training.splits["train"]) == ids(training)
    assert list(validation.splits[val]) == ids(validation)
    return ids(training), ids(validation), held_out


@pytest.mark.parametrize(("share", "count"), [(0.2, 2), (0.05, 1), (0.5, 5), (0.9, 9)])
def test_a_share_of_the_training_videos_and_nothing_else(share, count):
    data = dataset([None] * 12)
    training, validation, held_out = divided(data, share)
    assert held_out and len(validation) == count
    assert sorted(training + validation) == sorted(data.splits["train"])


def test_patients_stay_whole():
    patients = ["a", "a", "a", "b", "b", "c", "c", "c", "d", "e", "x", "x"]
    owner = {f"v{number}": patient for number, patient in enumerate(patients)}
    for seed in range(10):
        training, validation, _ = divided(dataset(patients), seed=seed)
        assert not {owner[video] for video in training} & {owner[video] for video in validation}
        assert validation


def test_the_draw_depends_on_the_seed_alone():
    data = dataset([None] * 12)
    turned = dataclasses.replace(
        data, splits=data.splits | {"train": data.splits["train"][::-1]}, videos=data.videos[::-1]
    )
    assert set(divided(data)[1]) == set(divided(turned)[1])
    assert len({tuple(divided(data, seed=seed)[1]) for seed in range(10)}) > 3


def test_a_split_that_is_there_is_taken():
    data = dataset([None] * 12, train=("v0", "v1"), val=("v2",))
    assert divided(data) == (["v0", "v1"], ["v2"], False)
    # One without videos is none, and neither is one without a name.
    assert divided(dataset([None] * 12, val=()))[2]
    assert divided(data, val="")[2]


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_nothing_to_hold_out_is_one_line(share):
    with pytest.raises(UserError, match="no split 'val'.*data.hold_out=") as error:
        divided(dataset([None] * 12), share)
    assert "\n" not in str(error.value)


def test_one_patient_cannot_be_on_both_sides():
    with pytest.raises(UserError, match="'train' has 1 patient"):
        divided(dataset(["a"] * 5))
    with pytest.raises(UserError, match="no split 'other'"):
        training_and_validation(dataset([None] * 5), "other", "val", 0.2, 0)
