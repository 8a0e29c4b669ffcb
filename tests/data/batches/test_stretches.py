"""Do the stretches of a dataset hold each of its clips once, with the frames that it has alone?"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from surgvista_jax.data.batches.clips import ClipConfig, ClipIndex, clip_frame_ids
from surgvista_jax.data.batches.stretches import StretchIndex, stretch_frames, stretches_of
from surgvista_jax.errors import UserError

LENGTHS = st.lists(st.integers(0, 60), min_size=1, max_size=5)


@given(LENGTHS, st.integers(1, 9), st.integers(1, 9))
def test_every_frame_ends_one_clip_of_one_stretch(lengths, slide, apart):
    stretches = StretchIndex(lengths, slide, apart)
    found = []
    for video, last in (stretches[index] for index in range(len(stretches))):
        ends = stretches.clip_ends(last)
        assert ends[-1] == last and ends.tolist() == list(
            range(last - apart * (slide - 1), last + 1, apart)
        )
        found += [(video, end) for end in ends.tolist() if end >= 0]
    everything = [(video, frame) for video, n in enumerate(lengths) for frame in range(n)]
    assert sorted(found) == everything
    assert (stretches.clips, stretches.places) == (len(everything), slide * len(stretches))
    assert stretches.filled == (len(everything) / stretches.places if everything else 1)


@given(LENGTHS, st.integers(1, 9), st.integers(1, 9))
def test_only_the_first_stretches_of_a_video_have_empty_places(lengths, slide, apart):
    """Of as many as there are residues, so that long videos lose next to nothing."""
    stretches = StretchIndex(lengths, slide, apart)
    empty = [
        video
        for video, last in (stretches[index] for index in range(len(stretches)))
        if stretches.clip_ends(last)[0] < 0
    ]
    assert all(empty.count(video) <= apart for video in range(len(lengths)))


@given(LENGTHS, st.integers(1, 9))
def test_stretches_of_one_clip_are_numbered_as_clips(lengths, apart):
    stretches, clips = StretchIndex(lengths, 1, apart), ClipIndex(lengths)
    assert [stretches[i] for i in range(len(stretches))] == [clips[i] for i in range(len(clips))]


@given(
    st.integers(0, 200), st.integers(1, 4), st.integers(1, 3), st.integers(1, 9), st.integers(1, 6)
)
def test_a_clip_has_the_frames_that_it_has_alone(last, slices, tubelet, slide, stride):
    """Also at the start of a video, where frames are repeated."""
    clip = ClipConfig(num_frames=slices * tubelet, stride=stride, slide=slide)
    stretch = clip_frame_ids(last, stretch_frames(clip, tubelet), stride)
    ends = StretchIndex([last + 1], slide, tubelet * stride).clip_ends(last)
    for place, end in enumerate(ends.tolist()):
        shown = stretch[place * tubelet :][: clip.num_frames]
        if end >= 0:
            np.testing.assert_array_equal(shown, clip_frame_ids(end, clip.num_frames, stride))


def test_a_stretch_outside_the_dataset_is_an_error():
    for index in (-1, 2):
        with pytest.raises(IndexError, match=f"stretch {index} of 2"):
            StretchIndex([4], 2, 2)[index]


@pytest.mark.parametrize(
    ("slide", "said"),
    [
        (
            6,
            "slide=6: no video is long enough for so many clips, 4 frames after one another; the"
            " longest has 17 frames: take 5 or less",
        ),
        (1024, "take 5 or less"),
    ],
)
def test_more_clips_than_any_video_has_are_refused(slide, said):
    clip = ClipConfig(num_frames=4, stride=2, slide=slide)
    with pytest.raises(UserError, match=said):
        stretches_of([3, 17], clip, tubelet=2)
    assert len(stretches_of([3, 17], ClipConfig(stride=2, slide=5), tubelet=2)) == 3 + 4


def test_a_stretch_is_not_longer_than_a_clip_may_be():
    with pytest.raises(UserError, match="makes stretches of 65,538 frames: take 1 or less"):
        stretch_frames(ClipConfig(num_frames=2**16, slide=2), tubelet=2)


@pytest.mark.parametrize("slide", [0, -8, 1.5, 2000])
def test_a_wrong_number_of_clips_is_named(slide):
    with pytest.raises(ValueError, match=rf"^slide={slide}: should be "):
        ClipConfig(slide=slide)


def test_clips_that_are_spread_over_a_video_do_not_slide():
    with pytest.raises(ValueError, match="^slide=2: sampling='uniform' makes one clip"):
        ClipConfig(sampling="uniform", slide=2)
