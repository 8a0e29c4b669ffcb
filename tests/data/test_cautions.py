"""Is a user told of clips that do not fit the videos, and of classes that training lacks?"""

import dataclasses
from pathlib import Path

from surgvista_jax.data import cautions
from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.dataset import Video
from tests.support.labelled_dataset import dataset


def videos(*seconds, fps=1.0) -> list[Video]:
    return [Video(str(k), str(k), fps, round(s * fps)) for k, s in enumerate(seconds)]


def test_a_clip_longer_than_most_videos_is_told_with_what_would_fit():
    text = cautions.long_clip(videos(5, 5, 100), 16, 4)
    assert "16 x 4 at 1 fps span 61 s, the median video 5 s: in 2 of 3 videos" in text
    assert "--fps 13" in text and "clip.num_frames" in text
    assert cautions.long_clip(videos(5, 5, 5, fps=13), 16, 4) is None  # as was advised
    text = cautions.long_clip(videos(20, 20, 20), 16, 4, key="config.image_clip")
    assert "config.image_clip.stride (to 1)" in text
    assert cautions.long_clip(videos(20, 20, 20), 16, 1) is None  # as was advised


def test_a_clip_that_fits_most_videos_is_not_spoken_of():
    assert cautions.long_clip(videos(61, 61, 5), 16, 4) is None
    assert cautions.long_clip(videos(61, 5), 16, 4) is None
    assert cautions.long_clip(videos(1, 1), 1, 8) is None
    assert cautions.long_clip([], 16, 4) is None


def test_a_clip_spread_over_a_video_needs_as_many_frames_as_it_has():
    assert cautions.long_clip(videos(16, 20), 16, 4, "uniform") is None
    text = cautions.long_clip(videos(5, 5), 16, 4, "uniform", "config.clip")
    assert "16 frames" in text and "--fps 4" in text and "stride" not in text


def test_the_usual_clip_is_that_of_a_run():
    clip = ClipConfig()
    assert (clip.num_frames, clip.stride) == (cautions.USUAL_FRAMES, cautions.USUAL_STRIDE)
    short = dataset((0,) * 20)
    own = ("configs/pretrain/own.py", "configs/finetune/own.py")
    assert all(path in cautions.long_usual_clip(short) and Path(path).is_file() for path in own)
    assert cautions.long_usual_clip(dataclasses.replace(short, task="action")) is None


def test_classes_that_training_lacks_are_named():
    assert cautions.never_learnt(dataset((0, 1), (2, -1))) is None
    text = cautions.never_learnt(dataset((0, -1), None))
    assert text == "training videos: 2 of 3 classes do not occur: b, c"
    several = dataset(((0, 2), (), -1), kind="multi")
    assert cautions.never_learnt(several) == "training videos: 1 of 3 classes do not occur: b"
    assert cautions.never_learnt(dataset(None)) is None  # which is another mistake


def test_every_training_split_is_looked_at():
    data = dataset((0, 1, 2), (0, 1))
    splits = {"train": ("v0",), "test": ("v1",), "fold1/train": ("v1",), "fold1/test": ("v0",)}
    texts = cautions.unlearnt_in_splits(dataclasses.replace(data, splits=splits))
    assert texts == ["split fold1/train: 1 of 3 classes do not occur: c"]
    assert not cautions.unlearnt_in_splits(data)
    assert cautions.unlearnt_in_splits(dataset((0, 1))) == [
        "all videos: 1 of 3 classes do not occur: c"
    ]
