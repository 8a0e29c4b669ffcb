"""Which clips of a labelled dataset are samples, of which frames, and with what label?"""

import numpy as np
import pytest

from surgvista_jax.data.batches.masked import describe_clip
from surgvista_jax.data.batches.samples import (
    every_sample,
    labelled_samples,
    members_of_classes,
    sample_frame_ids,
)
from surgvista_jax.data.dataset import Video
from surgvista_jax.errors import UserError
from tests.support.labelled_dataset import PAST, UNIFORM, dataset


def test_every_labelled_frame_is_a_sample():
    data = dataset((0, -1, 2), (-1, -1), (1, 1))
    samples = labelled_samples(data, PAST)
    assert samples.video.tolist() == [0, 0, 2, 2]
    assert samples.frame.tolist() == [0, 2, 0, 1]
    assert samples.label.tolist() == [0, 2, 1, 1]
    named = [describe_clip(data, index) for index in samples.index]
    assert named == [("v0", 0), ("v0", 2), ("v2", 0), ("v2", 1)]
    types = [getattr(samples, key).dtype for key in ("video", "frame", "index", "label")]
    assert types == [np.int32, np.int32, np.int64, np.int32]


def test_several_classes_a_frame_are_zeros_and_ones():
    samples = labelled_samples(dataset(((0, 2), -1, ()), kind="multi"), PAST)
    assert samples.frame.tolist() == [0, 2]  # a frame of no class is labelled all the same
    np.testing.assert_array_equal(samples.label, [[1, 0, 1], [0, 0, 0]])
    assert samples.label.dtype == np.float32


def test_a_set_of_clips_has_one_sample_a_video():
    samples = labelled_samples(dataset((2, 2, 2), (-1, 1, -1, -1), (-1,)), UNIFORM)
    assert samples.video.tolist() == [0, 1]
    assert samples.frame.tolist() == [2, 3]
    assert samples.label.tolist() == [2, 1]


def test_every_frame_is_a_sample_where_labels_do_not_matter():
    data = dataset((0, -1), None, ((-1,) * 3))
    samples = every_sample(data, PAST)
    assert samples.video.tolist() == [0] * 2 + [1] * 5 + [2] * 3
    assert samples.frame.tolist() == [0, 1, 0, 1, 2, 3, 4, 0, 1, 2]
    assert [describe_clip(data, index) for index in samples.index][2] == ("v1", 0)
    assert (samples.label == -1).all() and samples.label.dtype == np.int32
    whole = every_sample(data, UNIFORM)
    assert whole.video.tolist() == [0, 1, 2] and whole.frame.tolist() == [1, 4, 2]
    with pytest.raises(UserError, match="set: no frames"):
        every_sample(dataset((), ()), PAST)


def test_the_members_of_classes():
    groups = members_of_classes(np.array([2, 0, 2, 2]))
    assert [group.tolist() for group in groups] == [[1], [0, 2, 3]]  # class 1 has none
    several = np.array([[1, 0, 1], [0, 0, 0], [1, 0, 0]], np.float32)
    assert [group.tolist() for group in members_of_classes(several)] == [[0, 2], [0], [1]]


def test_a_clip_ends_at_its_frame_or_is_spread_over_its_video():
    video = Video("v", "v", 1.0, 10)
    assert sample_frame_ids(PAST, video, 9).tolist() == [3, 5, 7, 9]
    assert sample_frame_ids(PAST, video, 3).tolist() == [1, 1, 1, 3]
    assert sample_frame_ids(UNIFORM, video, 9).tolist() == [0, 2, 4, 6]


@pytest.mark.parametrize(
    ("data", "clip", "message"),
    [
        (dataset((0,), None), PAST, "set/videos.jsonl: video 'v1' has no labels"),
        (dataset((-1, -1)), PAST, "set: no labelled frame"),
        (dataset((-1, -1)), UNIFORM, "set: no labelled frame"),
        (dataset((0, 1)), UNIFORM, "'v0' has several labels; config.image_clip.sampling='uniform'"),
    ],
)
def test_what_cannot_be_a_sample_is_one_line(data, clip, message):
    with pytest.raises(UserError, match=message) as error:
        labelled_samples(data, clip, "config.image_clip")
    assert "\n" not in str(error.value)
