"""Is an operation that two datasets show taken from one of them alone?"""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from surgvista_jax.data.checking.once import each_operation_once, not_told_apart
from surgvista_jax.data.checking.overlaps import COLLECTIONS, operation
from surgvista_jax.data.datasets import cholec80, cholect45, cholect50, registry
from tests.data.checking.test_overlaps import dataset


def named(source_format: str, videos, folder: str = "", name: str = "made up"):
    made = dataset(source_format, videos, "train", name)
    return dataclasses.replace(made, folder=Path("data") / (folder or source_format))


FORMS = {  # the ids of operation N in the datasets of one collection
    "cholec80": "video{:02d}",
    "cholec80_tool": "video{:02d}",
    "cholect50": "VID{:02d}",
    "cholect45": "VID{:02d}",
    "cholec80-cvs": "video{:02d}_1",
}


@pytest.mark.parametrize("seed", range(5))
def test_no_operation_is_taken_from_two_datasets(seed):
    rng = np.random.default_rng(seed)
    datasets = [
        named(name, [form.format(n) for n in sorted(rng.choice(80, 30, replace=False) + 1)])
        for name, form in FORMS.items()
    ]
    rng.shuffle(datasets)
    taken, left_out = each_operation_once(datasets)
    shown = [{operation(d, video.video) for video in d.videos} for d in taken]
    assert sum(map(len, shown)) == len(set.union(*shown))
    before = {operation(d, video.video) for d in datasets for video in d.videos}
    assert set.union(*shown) == before  # and none is lost
    gone = sum(len(each.videos) for each in left_out)
    assert gone == sum(len(d.videos) for d in datasets) - sum(len(d.videos) for d in taken)
    for each in taken:
        assert each.splits["train"] == tuple(video.video for video in each.videos)


def test_the_first_dataset_has_it_and_the_line_says_so():
    half = named("cholec80", cholec80.SPLITS["train"])
    (first, second), (gone,) = each_operation_once([half, named("cholect50", cholect50.VIDEOS)])
    assert first is half and {"VID41", "VID42"} & {v.video for v in second.videos} == {"VID42"}
    assert gone.in_words() == (
        "23 of 50 videos of cholect50 are left out, as cholec80 has their operations: "
        f"{', '.join(gone.videos[:5])}, …"
    )
    (first, second), (gone,) = each_operation_once([named("cholect50", cholect50.VIDEOS), half])
    assert len(second.videos) == 17 and gone.same_as == "cholect50"


def test_clips_of_one_operation_stay_together():
    clips = named("cholec80-cvs", ["video03_1", "video03_2", "video04_1"])
    taken, left_out = each_operation_once([clips])
    assert taken == [clips] and not left_out
    (_, second), _ = each_operation_once([named("cholec80", ["video03"]), clips])
    assert [video.video for video in second.videos] == ["video04_1"]


def test_own_videos_are_the_same_only_where_the_datasets_are():
    mine = named("videos", ["01", "02"], "mine", "mine")
    (_, second), left_out = each_operation_once([mine, named("videos", ["01"], "b", "yours")])
    assert len(second.videos) == 1 and not left_out
    (_, second), (gone,) = each_operation_once([mine, named("videos", ["01"], "copy", "mine")])
    assert not second.videos and gone == ("copy", 1, ("01",), "mine")


def test_the_published_pretraining_data_show_no_operation_twice():
    """So the settings of the study hold what the method's authors trained on."""
    formats = ["cholec80", "m2cai16", "heichole", "pitvis", "psi-ava", "autolaparo"]
    formats += ["bernbypass70", "strasbypass70", "gensurgery"]
    assert set(formats) <= set(registry())
    videos = {"cholec80": cholec80.SPLITS["train"], "m2cai16": ["video_01"]}
    made = [named(name, videos.get(name, [f"{name}-1"])) for name in formats]
    assert each_operation_once(made) == (made, [])
    (told,) = not_told_apart(made)
    assert told.startswith("M2CAI16 and Cholec80")
    collections = [COLLECTIONS[name][0] for name in formats if name in COLLECTIONS]
    assert len(set(collections)) == len(collections) - 1  # Bern and Strasbourg: BBP and SBP


def test_cholect45_and_cholect50_are_one():
    both = [named("cholect50", cholect50.VIDEOS), named("cholect45", cholect45.VIDEOS)]
    (_, second), (gone,) = each_operation_once(both)
    assert not second.videos and len(gone.videos) == 45
