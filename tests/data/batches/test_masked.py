"""Is a batch a function of seed and step alone, and does it hold what it says?"""

import cv2
import numpy as np
import pytest

from surgvista_jax.data.batches import clips
from surgvista_jax.data.batches.crop import OFFSETS, SCALE_PAIRS, Crop, crop_and_resize, crop_box
from surgvista_jax.data.batches.masked import (
    LoaderConfig,
    MaskConfig,
    describe_clip,
    fixed_clips,
)
from surgvista_jax.data.storage.open import open_frames
from surgvista_jax.errors import UserError
from tests.support.masked_batches import (
    CLIP,
    GRID,
    MASK,
    NUM_CLIPS,
    assert_same,
    batches,
    make_dataset,
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("dataset"))


def epoch_orders(dataset, epochs, **settings):
    found = batches(dataset, steps=-(-epochs * NUM_CLIPS // 4), **settings)
    order = np.concatenate([batch["index"] for batch in found])[: epochs * NUM_CLIPS]
    return order.reshape(epochs, NUM_CLIPS)


def test_keys_shapes_and_types(dataset):
    batch = batches(dataset, steps=1)[0]
    assert {key: (value.shape, value.dtype) for key, value in batch.items()} == {
        "video": ((4, 4, 32, 32, 3), np.uint8),
        "visible_ids": ((4, 16), np.int32),
        "hidden_ids": ((4, 16), np.int32),
        "index": ((4,), np.int64),
        "unreadable": ((4, 4), np.bool_),
    }


def test_a_sample_is_one_of_the_crops_of_its_clip(dataset):
    """The frames of the clip rule, and one box for all of them."""
    for batch in batches(dataset, steps=2):
        for video, index in zip(batch["video"], batch["index"], strict=True):
            name, last = describe_clip(dataset, index)
            entry = next(entry for entry in dataset.videos if entry.video == name)
            ids = clips.clip_frame_ids(last, CLIP.num_frames, CLIP.stride)
            frames, _ = open_frames(dataset.folder, entry).read(ids)
            # In frames this small a few of the 130 crops are the same box.
            boxes = {
                crop_box(Crop(*pair, offset), 48, 64)
                for pair in SCALE_PAIRS
                for offset in range(len(OFFSETS))
            }
            candidates = [np.empty_like(video) for _ in boxes]
            for box, candidate in zip(boxes, candidates, strict=True):
                crop_and_resize(frames, box, candidate)
            assert sum(np.array_equal(video, candidate) for candidate in candidates) == 1


@pytest.mark.parametrize(("workers", "start"), [(1, 0), (2, 3)])
def test_workers_and_restarts_change_nothing(dataset, workers, start):
    whole = batches(dataset, steps=7)
    loader = LoaderConfig(workers=workers, buffer=1)
    assert_same(batches(dataset, steps=7, start=start, loader=loader), whole[start:])


def test_threads_and_buffers_change_nothing(dataset):
    whole = batches(dataset, steps=7)
    for loader in (LoaderConfig(threads=1, buffer=1), LoaderConfig(threads=4, buffer=3)):
        for start in (0, 1, 6, 7, 8):
            assert_same(batches(dataset, steps=7, start=start, loader=loader), whole[start:])


def test_far_steps_are_reached_at_once(dataset):
    assert len(batches(dataset, start=10**9, steps=10**9 + 1)) == 1


@pytest.mark.parametrize("hosts", [1, 2, 4])
@pytest.mark.parametrize("interleaved", [False, True])
def test_hosts_share_the_same_global_batch(dataset, hosts, interleaved):
    whole = batches(dataset, steps=3, batch_size=8)
    joined = [{key: np.empty_like(value) for key, value in batch.items()} for batch in whole]
    for host in range(hosts):
        every = np.arange(8)
        rows = every[host::hosts] if interleaved else np.split(every, hosts)[host]
        parts = batches(dataset, steps=3, batch_size=8, rows=rows)
        for batch, part in zip(joined, parts, strict=True):
            for key in batch:
                batch[key][rows] = part[key]
    assert_same(joined, whole)


def test_each_epoch_visits_every_clip_once_in_another_order(dataset):
    orders = epoch_orders(dataset, epochs=4)
    for order in orders:
        assert sorted(order) == list(range(NUM_CLIPS))
        assert order.tolist() != sorted(order)
    assert len({tuple(order) for order in orders}) == 4


def test_another_seed_is_another_run(dataset):
    one, other = (epoch_orders(dataset, epochs=3, seed=seed) for seed in (7, 8))
    # Not even the epochs of a neighbouring seed come back one epoch later.
    assert len({tuple(order) for order in [*one, *other]}) == 6
    masks = [batches(dataset, steps=1, seed=seed)[0]["hidden_ids"] for seed in (7, 8)]
    assert (masks[0] != masks[1]).any()


def test_a_clip_gets_another_crop_and_mask_in_each_epoch(dataset):
    found = batches(dataset, steps=6, batch_size=NUM_CLIPS)
    seen = [batch["hidden_ids"][np.argsort(batch["index"])] for batch in found]
    assert all((seen[0] != later).any(axis=1).mean() > 0.9 for later in seen[1:])
    videos = [batch["video"][np.argsort(batch["index"])] for batch in found]
    changed = [(videos[0] != later).any(axis=(1, 2, 3, 4)).mean() for later in videos[1:]]
    assert min(changed) > 0.8


def test_a_batch_may_be_larger_than_the_dataset(tmp_path):
    small = make_dataset(tmp_path, lengths=(2, 1))
    batch = batches(small, steps=1, batch_size=9)[0]
    assert [sorted(batch["index"][start : start + 3]) for start in (0, 3, 6)] == [[0, 1, 2]] * 3


def test_one_clip_is_a_dataset(tmp_path):
    small = make_dataset(tmp_path, lengths=(1,))
    assert [batch["index"].tolist() for batch in batches(small, steps=2)] == [[0] * 4] * 2


def test_several_masks_a_clip_share_its_pixels(dataset):
    single = batches(dataset, steps=2)
    several = batches(dataset, steps=2, mask=MaskConfig(ratio=0.5, masks_per_clip=3))
    for one, many in zip(single, several, strict=True):
        np.testing.assert_array_equal(one["video"], many["video"])
        assert many["visible_ids"].shape == many["hidden_ids"].shape == (4, 3, 16)
        for masks in many["hidden_ids"]:
            assert len({tuple(ids) for ids in masks}) == 3


def test_an_unreadable_frame_is_flagged_and_training_goes_on(tmp_path):
    folder = make_dataset(tmp_path, lengths=(6,))
    whole = batches(folder, steps=2, batch_size=6)
    (tmp_path / "frames/video 0/000002.jpg").write_bytes(b"no picture")
    damaged = batches(folder, steps=2, batch_size=6)
    for before, after in zip(whole, damaged, strict=True):
        np.testing.assert_array_equal(before["hidden_ids"], after["hidden_ids"])
        for row, last in enumerate(after["index"]):
            ids = clips.clip_frame_ids(last, CLIP.num_frames, CLIP.stride)
            np.testing.assert_array_equal(after["unreadable"][row], ids == 2)
            np.testing.assert_array_equal(
                after["video"][row][ids != 2], before["video"][row][ids != 2]
            )
            if last == 4:  # frames 0, 0, 2, 4: the earlier neighbour stands in
                np.testing.assert_array_equal(after["video"][row][2], before["video"][row][1])
    assert not any(batch["unreadable"].any() for batch in whole)


def test_clips_are_named_for_logs(dataset):
    assert [describe_clip(dataset, index) for index in (0, 8, 9, 10, 22)] == [
        ("video 0", 0),
        ("video 0", 8),
        ("video 1", 0),
        ("video 2", 0),
        ("video 2", 12),
    ]


def test_fixed_clips_are_spread_over_the_dataset(dataset):
    batch = fixed_clips(dataset, CLIP, MASK, grid=GRID, count=5, seed=0)
    assert batch.keys() == batches(dataset, steps=1)[0].keys()
    # Evenly: 2, 6, 11, 16, 20. A clip spans 6 frames; the first of the last video is number 10.
    # Of frames 6 to 8 of the first video, the only one of the second, 6 to 12 of the third.
    assert batch["index"].tolist() == [7, 9, 17, 19, 21]
    again = fixed_clips(dataset, CLIP, MASK, grid=GRID, count=5, seed=0)
    assert_same([batch], [again])
    other = fixed_clips(dataset, CLIP, MASK, grid=GRID, count=5, seed=1)
    np.testing.assert_array_equal(batch["video"], other["video"])
    assert (batch["hidden_ids"] != other["hidden_ids"]).any()
    assert len({tuple(ids) for ids in batch["hidden_ids"]}) == 5


def test_fixed_clips_show_the_centre_of_a_named_clip(dataset):
    batch = fixed_clips(dataset, CLIP, MASK, grid=GRID, count=2, seed=0, video="video 2", last=5)
    assert [describe_clip(dataset, index) for index in batch["index"]] == [("video 2", 5)] * 2
    frames, _ = open_frames(dataset.folder, dataset.videos[2]).read(np.array([1, 1, 3, 5]))
    expected = [cv2.resize(frame[:, 8:56], (32, 32)) for frame in frames]
    np.testing.assert_array_equal(batch["video"][0], expected)
    spread = fixed_clips(dataset, CLIP, MASK, grid=GRID, count=3, seed=0, video="video 2")
    assert spread["index"].tolist() == [17, 19, 21]


@pytest.mark.parametrize(
    ("named", "message"),
    [
        ({"video": "video 9"}, "no video 'video 9'; the first is 'video 0'"),
        ({"video": "video 0", "last": 9}, "frame 9: video 0 has frames 0 to 8"),
        ({"last": 9}, r"frame 9: of which video\?"),
    ],
)
def test_a_wrong_name_for_a_figure_is_one_line(dataset, named, message):
    with pytest.raises(UserError, match=message):
        fixed_clips(dataset, CLIP, MASK, grid=GRID, count=1, seed=0, **named)


@pytest.mark.parametrize("lengths", [(), (0, 0)])
def test_a_dataset_without_frames_is_refused(tmp_path, lengths):
    with pytest.raises(UserError, match="no frames to make clips of"):
        batches(make_dataset(tmp_path, lengths))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mask": MaskConfig(ratio=1.0)}, r"config\.mask\.ratio=1\.0"),
    ],
)
def test_settings_that_do_not_fit_are_refused_before_anything_is_read(dataset, settings, message):
    with pytest.raises(UserError, match=message):
        batches(dataset, **settings)


@pytest.mark.parametrize("rows", [[0, 4], [-1, 2]])
def test_rows_lie_in_the_batch(dataset, rows):
    with pytest.raises(ValueError, match="of a batch of 4"):
        batches(dataset, rows=rows)
