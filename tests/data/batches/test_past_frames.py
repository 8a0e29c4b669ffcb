"""Is the clip that ends now the one of all frames, though few of them are remembered?"""

import weakref

import numpy as np
import pytest

from surgvista_jax.data.batches.clips import ClipConfig, clip_frame_ids
from surgvista_jax.data.batches.past_frames import PastFrames


@pytest.mark.parametrize(("num_frames", "stride"), [(1, 1), (3, 2), (4, 1), (2, 5)])
def test_each_clip_is_that_of_all_frames_and_no_more_are_remembered(num_frames, stride):
    clip = ClipConfig(num_frames=num_frames, stride=stride, size=2)
    frames = np.arange(20, dtype=np.uint8).repeat(12).reshape(20, 2, 2, 3)
    past, alive = PastFrames(clip), []
    out = np.empty((num_frames, 2, 2, 3), np.uint8)
    for last in range(20):
        frame = frames[last].copy()
        alive.append(weakref.ref(frame))
        past.push(frame)
        del frame
        past.write(out)
        np.testing.assert_array_equal(out, frames[clip_frame_ids(last, num_frames, stride)])
        assert sum(ref() is not None for ref in alive) <= (num_frames - 1) * stride + 1
