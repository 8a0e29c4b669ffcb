"""Is every operation that several datasets show known to be one?"""

import dataclasses
from pathlib import Path

import pytest

from surgvista_jax.data.checking.overlaps import COLLECTIONS, UNNAMED, check_overlap, operation
from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.datasets import cholec80, cholect45, cholect50, registry


def dataset(source_format: str, videos, split: str = "test", name: str = "made up") -> Dataset:
    empty = dict.fromkeys(("procedure", "licence", "citation"), "")
    return Dataset(
        folder=Path("nowhere"),
        name=name,
        task="none",
        classes=(),
        label_kind="single",
        fps=1.0,
        splits={split: tuple(videos)},
        source_format=source_format,
        videos=tuple(Video(video, video, 1.0, 1) for video in videos),
        **empty,
    )


def leaks(test: Dataset, *pretraining: Dataset) -> list[tuple[str, str]]:
    findings = check_overlap(test, list(pretraining))
    return [(found.level, found.text) for found in findings if found.level != "good"]


def test_the_tables_name_datasets_that_there_are():
    named = {*COLLECTIONS, *(name for pair in UNNAMED for side in pair[:2] for name in side)}
    assert named <= set(registry())
    # Readers of instruments read videos that other readers read too.
    assert {name for name, official in registry().items() if official.task == "tool"} <= named


def test_every_video_of_the_cholecystectomy_sets_has_a_number():
    """Cholec80 video NN, CholecT50 VIDNN and the clips videoNN_k are one operation."""
    numbers = {}
    for name, videos in (
        ("cholec80", cholec80.VIDEOS),
        ("cholec80_tool", cholec80.VIDEOS),
        ("cholect50", cholect50.VIDEOS),
        ("cholect50_tool", cholect50.VIDEOS),
        ("cholect45", cholect45.VIDEOS),
        ("cholec80-cvs", [f"{video}_3" for video in cholec80.VIDEOS]),
    ):
        numbers[name] = {operation(dataset(name, videos), video) for video in videos}
        assert None not in numbers[name]
    assert numbers["cholec80"] == numbers["cholec80-cvs"] == numbers["cholec80_tool"]
    assert numbers["cholect50"] == numbers["cholect50_tool"]
    assert numbers["cholect45"] < numbers["cholect50"]
    # Of the 50, five have numbers that Cholec80 does not reach.
    assert len(numbers["cholect50"] & numbers["cholec80"]) == 45


def test_pretraining_on_the_first_half_of_cholec80():
    """What the method's authors pretrain on holds these operations of CholecT50's splits."""
    half = dataset("cholec80", cholec80.SPLITS["train"], "train")
    splits = cholect50.splits()
    for split, expected in (
        ("val", "VID05, VID18, VID36"),
        ("rdv/val", "VID08, VID12, VID29"),
        ("rdv/test", "VID06, VID10, VID14, VID32"),
    ):
        ((level, text),) = leaks(dataset("cholect50", splits[split], split), half)
        assert level == "error" and text.endswith(f": {expected}")
    assert not leaks(dataset("cholect50", splits["test"]), half)
    assert not leaks(dataset("cholec80", cholec80.SPLITS["test"]), half)
    assert not leaks(dataset("cholec80-cvs", ["video41_1", "video80_2"]), half)


@pytest.mark.parametrize(
    ("labelled", "pretraining", "video"),
    [
        ("pitvis-steps", "pitvis", "video_24"),
        ("pitvis_tool", "pitvis-steps", "video_24"),
        ("heichole-phases", "heichole", "Hei-Chole7"),
        ("heichole_tool", "heichole-phases", "Hei-Chole7"),
        ("psi-ava-phases", "psi-ava", "CASE021"),
        ("psi-ava-steps", "psi-ava-phases", "CASE021"),
    ],
)
def test_the_names_of_one_dataset_show_the_same_operations(labelled, pretraining, video):
    ((level, text),) = leaks(dataset(labelled, [video], "val"), dataset(pretraining, [video]))
    assert level == "error" and text.endswith(f": {video}")


@pytest.mark.parametrize(
    ("test", "pretraining", "level"),
    [
        (("prostatd", "a1"), ("psi-ava", "CASE001"), "warning"),
        (("m2cai16", "video_28"), ("cholec80", "video01"), "warning"),
        (("cholec80-cvs", "video41_1"), ("m2cai16", "video_01"), "warning"),
        (("multibypass140-phases", "BBP07"), ("bernbypass70", "BBP07"), "error"),
        (("multibypass140-steps", "SBP07"), ("strasbypass70", "SBP07"), "error"),
        (("endoscapes-count", "162"), ("endoscapes", "162"), "error"),
        (("autolaparo", "15"), ("autolaparo", "15"), "error"),
        (("autolaparo", "15"), ("esd57", "15"), None),
        (("multibypass140-phases", "BBP07"), ("strasbypass70", "SBP07"), None),
    ],
)
def test_known_pairs(test, pretraining, level):
    found = leaks(dataset(test[0], test[1:]), dataset(pretraining[0], pretraining[1:], "train"))
    assert [one for one, _ in found] == ([level] if level else [])


def test_ids_of_ones_own_videos_mean_nothing_elsewhere():
    mine = dataset("videos", ["01"])
    assert not leaks(mine, dataset("videos", ["01"], "train", name="other"))
    assert leaks(mine, dataset("videos", ["01"], "train"))
    assert not leaks(dataclasses.replace(mine, splits={"train": ("01",)}), mine)
