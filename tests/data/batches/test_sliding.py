"""Do batches of stretches hold the clips of their dataset, each once an epoch, on any machine?"""

import dataclasses

import numpy as np
import pytest

from surgvista_jax.data.batches.clips import clip_frame_ids
from surgvista_jax.data.batches.crop import OFFSETS, SCALE_PAIRS, Crop, crop_and_resize, crop_box
from surgvista_jax.data.batches.masked import LoaderConfig, MaskConfig, describe_clip, fixed_clips
from surgvista_jax.data.batches.stretches import stretches_of
from surgvista_jax.data.storage.open import open_frames
from tests.support.masked_batches import (
    CLIP,
    GRID,
    MASK,
    NUM_CLIPS,
    assert_same,
    make_dataset,
)
from tests.support.masked_batches import batches as plain_batches

SLIDE, TUBELET = 3, 2
APART = TUBELET * CLIP.stride
SLIDING = dataclasses.replace(CLIP, slide=SLIDE)
STRETCHES = 4 + 1 + 5  # of 9, 1 and 13 frames: 12 of each make 4


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("dataset"))


def batches(dataset, **settings):
    return plain_batches(dataset, clip=SLIDING, **settings)


def ends_of(batch):
    """For each place of a batch the clip of the dataset that it holds, -1 where it is empty."""
    ends = batch["index"][:, None] - APART * np.arange(SLIDE - 1, -1, -1)
    return np.where(batch["weight"] > 0, ends, -1)


def test_keys_shapes_and_types(dataset):
    batch = batches(dataset, steps=1)[0]
    assert {key: (value.shape, value.dtype) for key, value in batch.items()} == {
        "video": ((4, 8, 32, 32, 3), np.uint8),
        "visible_ids": ((4, SLIDE, 16), np.int32),
        "hidden_ids": ((4, SLIDE, 16), np.int32),
        "weight": ((4, SLIDE), np.float32),
        "index": ((4,), np.int64),
        "unreadable": ((4, 8), np.bool_),
    }


def test_each_epoch_visits_every_clip_once_in_another_order(dataset):
    found = batches(dataset, steps=4, batch_size=STRETCHES)
    for batch in found:
        ends = ends_of(batch)
        assert sorted(ends[ends >= 0].tolist()) == list(range(NUM_CLIPS))
    assert len({tuple(batch["index"]) for batch in found}) == 4


def test_every_clip_of_a_global_batch_counts_alike(dataset):
    weights = [batch["weight"] for batch in batches(dataset, steps=5)]
    assert any((weight == 0).any() for weight in weights)
    for weight in weights:
        assert len(np.unique(weight[weight > 0])) == 1
        np.testing.assert_allclose(weight.mean(), 1, rtol=1e-6)


def test_a_clip_shows_the_frames_that_it_has_alone_under_its_stretch_s_crop(dataset):
    boxes = {
        crop_box(Crop(*pair, offset), 48, 64)
        for pair in SCALE_PAIRS
        for offset in range(len(OFFSETS))
    }
    for batch in batches(dataset, steps=3):
        for video, ends in zip(batch["video"], ends_of(batch), strict=True):
            fitting = set(boxes)
            for place, end in enumerate(ends):
                if end < 0:
                    continue
                name, last = describe_clip(dataset, end)
                entry = next(entry for entry in dataset.videos if entry.video == name)
                ids = clip_frame_ids(last, CLIP.num_frames, CLIP.stride)
                frames, _ = open_frames(dataset.folder, entry).read(ids)
                shown = video[TUBELET * place :][: CLIP.num_frames]
                for box in list(fitting):
                    candidate = np.empty_like(shown)
                    crop_and_resize(frames, box, candidate)
                    if not np.array_equal(shown, candidate):
                        fitting.remove(box)
            assert len(fitting) == 1


def test_each_clip_has_masks_of_its_own(dataset):
    several = batches(dataset, steps=1, mask=MaskConfig("random", 0.5, masks_per_clip=2))[0]
    assert several["hidden_ids"].shape == (4, SLIDE, 2, 16)
    assert len({tuple(ids) for ids in several["hidden_ids"].reshape(-1, 16)}) == 4 * SLIDE * 2
    np.testing.assert_array_equal(several["video"], batches(dataset, steps=1)[0]["video"])


def test_workers_and_restarts_change_nothing(dataset):
    whole = batches(dataset, steps=5)
    loader = LoaderConfig(workers=2, buffer=1)
    assert_same(batches(dataset, steps=5, start=2, loader=loader), whole[2:])


@pytest.mark.parametrize("hosts", [2, 4])
def test_hosts_share_the_same_global_batch(dataset, hosts):
    whole = batches(dataset, steps=3, batch_size=8)
    joined = [{key: np.empty_like(value) for key, value in batch.items()} for batch in whole]
    for host in range(hosts):
        rows = np.arange(8)[host::hosts]
        for batch, part in zip(
            joined, batches(dataset, steps=3, batch_size=8, rows=rows), strict=True
        ):
            for key in batch:
                batch[key][rows] = part[key]
    assert_same(joined, whole)


def test_an_unreadable_frame_is_flagged_in_its_stretches(tmp_path):
    folder = make_dataset(tmp_path, lengths=(13,))
    (tmp_path / "frames/video 0/000006.jpg").write_bytes(b"no picture")
    for batch in batches(folder, steps=2):
        for last, flags in zip(batch["index"], batch["unreadable"], strict=True):
            np.testing.assert_array_equal(flags, clip_frame_ids(last, 8, CLIP.stride) == 6)
            assert flags.sum() == (last % 2 == 0 and last >= 6)


def test_figures_show_clips_alone(dataset):
    one, other = (
        fixed_clips(dataset, c, MASK, grid=GRID, count=3, seed=0) for c in (CLIP, SLIDING)
    )
    assert_same([one], [other])


def test_the_dataset_has_as_many_stretches_as_are_told(dataset):
    lengths = [video.num_frames for video in dataset.videos]
    assert len(stretches_of(lengths, SLIDING, TUBELET)) == STRETCHES
