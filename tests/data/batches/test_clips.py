"""Is a clip past-only, evenly strided and clamped as the recipe says?"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surgvista_jax.data.batches.clips import (
    ClipConfig,
    ClipIndex,
    clip_frame_ids,
    uniform_frame_ids,
)


def rule_as_written(last: int, num_frames: int, stride: int) -> list[int]:
    """datasets.md section 0, step by step."""
    position, positions = last, []
    for _ in range(num_frames):
        positions.append(position)
        if position - stride >= 0:
            position -= stride
    return sorted(positions)


@given(st.integers(0, 10**7), st.integers(1, 40), st.integers(1, 70))
def test_clip_follows_the_rule(last, num_frames, stride):
    ids = clip_frame_ids(last, num_frames, stride)
    assert ids.dtype == np.int64
    assert ids.tolist() == rule_as_written(last, num_frames, stride)


@given(st.integers(0, 200), st.integers(1, 40), st.integers(1, 70))
def test_clip_follows_the_rule_at_the_start_of_a_video(last, num_frames, stride):
    assert clip_frame_ids(last, num_frames, stride).tolist() == rule_as_written(
        last, num_frames, stride
    )


def test_clip_keeps_its_phase_where_it_is_clamped():
    assert clip_frame_ids(6, 4, 4).tolist() == [2, 2, 2, 6]
    assert clip_frame_ids(0, 3, 4).tolist() == [0, 0, 0]


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12))
def test_every_frame_ends_one_clip(num_frames):
    clips = ClipIndex(num_frames)
    expected = [(video, frame) for video, n in enumerate(num_frames) for frame in range(n)]
    assert len(clips) == len(expected)
    assert [clips[index] for index in range(len(clips))] == expected
    assert [clips.first(video) for video in range(len(num_frames))] == [
        sum(num_frames[:video]) for video in range(len(num_frames))
    ]


@pytest.mark.parametrize("index", [-1, 5])
def test_a_clip_outside_the_dataset_is_an_error(index):
    with pytest.raises(IndexError, match=f"clip {index} of 5"):
        ClipIndex([2, 3])[index]


def test_no_videos_have_no_clips():
    assert len(ClipIndex([])) == 0


@pytest.mark.parametrize("key", ["num_frames", "stride", "size"])
@pytest.mark.parametrize("value", [0, -4, 1.5])
def test_a_wrong_clip_setting_is_named(key, value):
    with pytest.raises(ValueError, match=rf"^{key}={value}: should be a whole number"):
        ClipConfig(**{key: value})


def test_an_unknown_sampling_is_refused():
    with pytest.raises(ValueError, match="^sampling='future': should be one of past, uniform"):
        ClipConfig(sampling="future")


@pytest.mark.parametrize(
    ("video_frames", "expected"),
    [
        (16, [0, 4, 8, 12]),
        (19, [0, 4, 8, 12]),  # 19 // 4 = 4 apart; the end is left over
        (4, [0, 1, 2, 3]),
        (7, [0, 1, 2, 3]),
        (3, [0, 1, 2, 2]),  # too short: the last frame again
        (1, [0, 0, 0, 0]),
    ],
)
def test_frames_are_spread_over_a_video(video_frames, expected):
    assert uniform_frame_ids(video_frames, 4).tolist() == expected
