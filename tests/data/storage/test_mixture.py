"""Do several dataset folders train as one?"""

import dataclasses
import shutil

import cv2
import numpy as np
import pytest

from surgvista_jax.config import build, load_config
from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.data.batches.masked import describe_clip, pretrain_batches
from surgvista_jax.data.batches.masking import MaskConfig
from surgvista_jax.data.batches.share import Share
from surgvista_jax.data.dataset import Dataset, Video, fingerprint
from surgvista_jax.data.datasets import registry
from surgvista_jax.data.storage.manifest import write_dataset
from surgvista_jax.data.storage.mixture import read_folders
from surgvista_jax.errors import UserError
from surgvista_jax.tasks.pretraining.config import PretrainConfig

# The first clips of a mixture as they were before there were weights.
EARLIER = [[8, 6, 9, 3], [0, 2, 7, 10], [5, 4, 1, 11]]


def shade(video: str, frame: int) -> int:
    """The grey of a frame, another one for each frame of each video; no crop changes it."""
    videos = ["one/v1", "one/v2", "one/v3", "two/v1", "two/v9"]
    return 10 + 40 * (videos.index(video) if video in videos else 0) + 5 * frame


def make(folder, counts: dict[str, int], fps: float = 1.0) -> None:
    videos = []
    for video, count in counts.items():
        frames = folder / "frames" / video
        frames.mkdir(parents=True)
        for frame in range(count):
            image = np.full((32, 32, 3), shade(f"{folder.name}/{video}", frame), np.uint8)
            cv2.imwrite(str(frames / f"{frame:06d}.jpg"), image)
        videos.append(Video(video, f"frames/{video}", fps, count, patient="p"))
    names = tuple(counts)
    splits = {"train": names[:-1], "test": names[-1:]}
    texts = {"procedure": "p", "licence": "l", "citation": "", "source_format": "videos"}
    write_dataset(
        Dataset(
            folder, folder.name, "none", (), "single", fps, splits, videos=tuple(videos), **texts
        )
    )


@pytest.fixture
def root(tmp_path):
    make(tmp_path / "data" / "one", {"v1": 5, "v2": 3, "v3": 7})
    make(tmp_path / "data" / "two", {"v1": 4, "v9": 2})
    return tmp_path / "data"


def test_a_split_that_is_not_there_is_refused_with_what_is_near(root):
    with pytest.raises(UserError, match="no split 'trian'; did you mean 'train'.; it has: train"):
        read_folders(f"{root / 'one'},{root / 'two'}", "trian")
    bare = dataclasses.replace(read_folders(str(root / "one")), splits={})
    write_dataset(bare)
    for split in ("train", None):
        assert len(read_folders(str(root / "one"), split).videos) == 3
    for split in ("trian", "test"):
        with pytest.raises(UserError, match=f"no split '{split}'; it has: none"):
            read_folders(str(root / "one"), split)


def batches(dataset: Dataset, workers: int = 0, rows=range(4), start=0, **weights) -> list[dict]:
    with pretrain_batches(
        dataset,
        ClipConfig(4, 1, 32),
        MaskConfig("tube", 0.5),
        LoaderConfig(workers=workers),
        Share(4, np.array(rows), start_step=start, num_steps=6),
        grid=(2, 2, 2),
        seed=1,
        weights=weights,
    ) as loader:
        return list(loader)


def test_a_mixture_has_the_chosen_split_of_each(root):
    mixture = read_folders("one, two", "train", str(root))
    assert [video.video for video in mixture.videos] == ["one/v1", "one/v2", "two/v1"]
    assert mixture.splits == {"train": ("one/v1", "one/v2", "two/v1")}
    assert (mixture.name, mixture.fps, mixture.procedure) == ("one + two", 1.0, "p")
    assert describe_clip(mixture, 11) == ("two/v1", 3)
    assert read_folders(f"{root}/one,{root}/two", "train") == mixture
    assert len(read_folders("one,two", None, str(root)).videos) == 5
    single = read_folders("one", "train", str(root))
    assert [video.video for video in single.videos] == ["v1", "v2"]


def test_clips_show_the_frames_of_their_own_dataset(root):
    """Each clip of the mixture is the one of the dataset that it comes from."""
    mixture = read_folders("one,two", "train", str(root))
    seen = set()
    for batch in batches(mixture):
        for index, clip in zip(batch["index"], batch["video"], strict=True):
            assert (clip[-1] == shade(*describe_clip(mixture, int(index)))).all()
            seen.add(int(index))
        assert not batch["unreadable"].any()
    assert seen == set(range(5 + 3 + 4))


def test_workers_and_the_place_of_the_folders_change_nothing(root, tmp_path):
    mixture = read_folders("one,two", "train", str(root))
    moved = tmp_path / "elsewhere"
    shutil.copytree(root, moved)
    other = read_folders("one,two", "train", str(moved))
    assert fingerprint(other) == fingerprint(mixture)
    for ours, theirs in zip(batches(mixture), batches(other, workers=2), strict=True):
        assert ours.keys() == theirs.keys()
        for key in ours:
            np.testing.assert_array_equal(ours[key], theirs[key])


def test_a_weighted_batch_is_a_function_of_the_step_alone(root):
    """Whatever number of processes, of loader workers and of restarts there are."""
    mixture = read_folders("one,two", "train", str(root))
    weights = {"one": 1, "two": 2.5}
    whole = batches(mixture, **weights)
    other = batches(mixture, workers=2, rows=[1, 2], start=4, **weights)
    for ours, theirs in zip(whole[4:], other, strict=True):
        for key in ours:
            np.testing.assert_array_equal(ours[key][1:3], theirs[key])
    names = [describe_clip(mixture, int(index))[0] for batch in whole for index in batch["index"]]
    assert len(names) == 24 and sum(name == "two/v1" for name in names) == 17  # 24 * 2.5 / 3.5
    plain = [batch["index"].tolist() for batch in batches(mixture)]
    assert plain != [batch["index"].tolist() for batch in whole]


def test_the_order_without_weights_stays_that_of_runs_that_go_on(root):
    mixture = read_folders("one,two", "train", str(root))
    found = [batch["index"].tolist() for batch in batches(mixture)][:3]
    assert found == EARLIER


def test_a_split_of_a_mixture_still_finds_its_frames(root):
    mixture = read_folders("one,two", None, str(root))
    part = dataclasses.replace(mixture, splits={"some": ("two/v9",)}).split("some")
    assert part.places() == [
        (root / "two", dataclasses.replace(part.videos[0], video="v9", source="frames/v9"))
    ]


@pytest.mark.parametrize(
    ("folders", "said"),
    [
        ("one,three", "three: no such folder"),
        ("one,,two", "between the commas has no name"),
        ("one,one", "a second folder called one"),
        ("one,fast", "is at 5 frames a second"),
    ],
)
def test_folders_that_do_not_go_together(root, folders, said):
    make(root / "fast", {"v1": 4, "v2": 4}, fps=5.0)
    with pytest.raises(UserError, match=said):
        read_folders(folders, "train", str(root))


def test_the_settings_of_the_study_name_datasets_of_the_published_sizes():
    sizes = []
    for letter in "ABCDE":
        config = load_config(f"configs/pretrain/settings.py:{letter}", PretrainConfig)
        data = build(PretrainConfig, config).data
        published = [registry()[name].published["train"] for name in data.folder.split(",")]
        sizes.append(sum(counts.frames for counts in published))
    assert sizes == [86_344, 153_922, 441_608, 1_203_159, 3_552_777]
    assert sum(counts.videos for counts in published) == 3650
    with pytest.raises(UserError, match="the settings are A, B, C, D, E"):
        load_config("configs/pretrain/settings.py:F", PretrainConfig)
