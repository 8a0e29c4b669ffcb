"""Are a dataset's videos taken in turn, as many at a time as memory is meant to hold?"""

import itertools

import pytest

from surgvista_jax.data.dataset import Video
from surgvista_jax.inference import features


@pytest.mark.parametrize("lengths", [[], [4], [30], [4, 6, 1], [30, 1, 9, 1, 30, 30, 2]])
def test_videos_are_grouped_in_order_up_to_a_number_of_frames(monkeypatch, lengths):
    monkeypatch.setattr(features, "_FRAMES_AT_ONCE", 10)
    videos = [Video(str(n), "", 1.0, length) for n, length in enumerate(lengths)]
    groups = list(features._groups(videos))
    assert list(itertools.chain(*groups)) == videos
    frames = [sum(video.num_frames for video in group) for group in groups]
    assert all(total <= 10 or len(group) == 1 for total, group in zip(frames, groups, strict=True))
    # None could have taken the first video of the next.
    following = [group[0].num_frames for group in groups[1:]]
    assert all(total + more > 10 for total, more in zip(frames, following, strict=False))
