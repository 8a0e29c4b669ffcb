"""Are the splits that a run makes a matter of seed, ids and patients alone, and as stated?"""

import dataclasses

import pytest

from surgvista_jax.data.batches.division import SplitConfig, divide
from surgvista_jax.data.batches.made_splits import make_splits
from surgvista_jax.data.batches.patients import shown_by
from surgvista_jax.data.dataset import Video
from surgvista_jax.errors import UserError
from tests.support.labelled_dataset import dataset

SHARES = {"test": 0.2, "val": 0.2}


def videos(*patients) -> list[Video]:
    return [Video(f"v{k}", f"v{k}", 1.0, 3, (0, 0, 1), each) for k, each in enumerate(patients)]


def names(part) -> set[str]:
    return {video.video for video in part.videos}


@pytest.mark.parametrize("splits", [{}, {"train": tuple(f"v{k}" for k in range(10))}])
def test_a_dataset_without_splits_is_divided(splits):
    data = dataclasses.replace(dataset(*[(0, 1)] * 10), splits=splits)
    parts = divide(data, SplitConfig(), "val")
    assert [len(part.videos) for part in (parts.train, parts.selection, parts.test)] == [6, 2, 2]
    assert names(parts.train) | names(parts.selection) | names(parts.test) == names(data)
    assert parts.selected_on == "val" and parts.made.keys() == {"train", "val", "test"}
    assert "by video, as no patients are known, with seed 0: train 6 videos" in parts.summary()
    assert parts == divide(data, SplitConfig(), "val")
    last = divide(data, SplitConfig(), "last")
    assert names(last.test) == names(parts.test) and len(names(last.train)) == 8
    untested = divide(data, SplitConfig(test=""), "val")
    assert untested.test is None and not names(untested.train) & names(untested.selection)


def test_patients_stay_on_one_side():
    patients = [f"p{k // 3}" for k in range(30)]
    made = make_splits(videos(*patients), SHARES)
    sides = [{patients[int(video[1:])] for video in ids} for ids in made.values()]
    assert sorted(len(side) for side in sides) == [2, 2, 6]
    assert len(set.union(*sides)) == 10
    respelled = [f"{p.upper()} " if k % 2 else p for k, p in enumerate(patients)]
    made = make_splits(videos(*respelled), SHARES)
    assert not set.intersection(*({patients[int(v[1:])] for v in ids} for ids in made.values()))
    assert sum(len({patients[int(v[1:])] for v in ids}) for ids in made.values()) == 10


def test_the_draw_knows_seed_ids_and_patients_alone():
    some = videos(*[None] * 20)
    made = make_splits(some, SHARES)
    assert make_splits(some[::-1], SHARES) == made
    assert make_splits([dataclasses.replace(v, labels=None) for v in some], SHARES) == made
    assert make_splits(some, SHARES, seed=1) != made
    assert made["test"] == ("v14", "v16", "v3", "v8")  # in this and in any later version


def test_each_part_shows_each_class_that_as_many_patients_have_and_others_are_named():
    """Of 40 patients three show "b", two "c": where they are drawn, "b" is in all three."""
    labels = [(0, 1)] * 3 + [(0, 2)] * 2 + [(0,)] * 35
    for patients in (range(40), [k % 40 for k in range(80)]):
        data = dataset(*(labels[k] for k in patients))
        if len(patients) > 40:
            pairs = zip(data.videos, patients, strict=True)
            named = tuple(dataclasses.replace(video, patient=f"P{k}") for video, k in pairs)
            data = dataclasses.replace(data, videos=named)
        parts = divide(data, SplitConfig(), "val")
        shown = [shown_by(part.videos) for part in (parts.train, parts.test, parts.selection)]
        assert shown == [{0, 1, 2}, {0, 1, 2}, {0, 1}]
        count = "2 patients" if len(patients) > 40 else "2 videos"
        assert parts.summary().splitlines()[0].endswith(f"; val lacks c (of {count})")
        sizes = [len(ids) for ids in parts.made.values()]
        assert sizes == [share * len(patients) // 40 for share in (24, 8, 8)]


def test_what_is_held_out_shows_the_classes_too():
    data = dataset(*[(0, 1)] * 2, (0, 2), *[(0,)] * 27)
    training = tuple(sorted(names(data) - {"v29"}))
    data = dataclasses.replace(data, splits={"train": training, "test": ("v29",)})
    parts = divide(data, SplitConfig(), "val")
    assert [shown_by(part.videos) for part in (parts.train, parts.selection)] == [{0, 1, 2}, {0, 1}]
    assert len(parts.selection.videos) == 6
    assert "dataset.json: val lacks c (of 1 video)" in parts.summary()


def test_every_part_has_something_or_one_line_says_that_it_cannot():
    assert all(make_splits(videos(None, None, None), {"test": 0.01, "val": 0.98}).values())
    assert all(make_splits(videos("a", "b", *"c" * 9), {"test": 0.4, "val": 0.4}).values())
    with pytest.raises(UserError, match="2 labelled videos are too few to make train, test, val"):
        divide(dataset((0,), (1,)), SplitConfig(), "val")
    with pytest.raises(UserError, match="hold_out=0.5 for each"):
        divide(dataset(*[(0,)] * 9), SplitConfig(hold_out=0.5), "val")


def test_videos_without_labels_are_left_out_and_said():
    parts = divide(dataset(*[(0, 1)] * 5, None, (-1, -1)), SplitConfig(), "val")
    assert sum(map(len, parts.made.values())) == 5
    assert "2 videos without labels are left out" in parts.summary()


def test_who_names_splits_gets_those_alone():
    with pytest.raises(UserError, match="no split 'test'; it has: none"):
        divide(dataset(*[(0,)] * 9), SplitConfig(train="mine"), "val")
    folds = {"fold1/train": ("v0",), "fold1/test": ("v1",)}
    with pytest.raises(UserError, match="no split 'test'"):
        divide(dataclasses.replace(dataset(*[(0,)] * 9), splits=folds), SplitConfig(), "val")
