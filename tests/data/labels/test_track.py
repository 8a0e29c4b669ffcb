"""Does each moment have the label of what it shows, at any rate?"""

import math

import numpy as np
import pytest

from surgvista_jax.data.labels.track import (
    FrameLabels,
    Interval,
    IntervalLabels,
    as_seconds,
    at_another_rate,
    intervals_beyond,
    length_notes,
    lost_intervals,
    numbered_from_one,
    whole_video,
)


def moments(seconds: float, fps: float) -> np.ndarray:
    return np.arange(round(seconds * fps)) / fps


@pytest.mark.parametrize("fps", [1, 2, 5, 25, 29.97])
@pytest.mark.parametrize("rate", [1, 0.5])
def test_a_label_holds_until_the_next_and_the_last_one_as_long(fps, rate):
    track = FrameLabels({k: k for k in range(8)}, rate)
    at = moments(8 / rate, fps)
    assert track.at(at) == tuple(np.floor(at * rate + 1e-6).astype(int).tolist())


def test_labels_of_each_frame_are_those_of_the_frames_that_are_kept():
    track = FrameLabels({k: k for k in range(30)}, 10.0)
    assert track.at(moments(3, 4)) == (0, 3, 5, 8, 10, 13, 15, 18, 20, 23, 25, 28)


@pytest.mark.parametrize("fps", [1, 2, 5, 25])
def test_the_last_of_every_25th_frame_holds_as_long_as_the_others(fps):
    track = FrameLabels({25 * k: k for k in range(4)}, 25.0, every=25)
    found = track.at(moments(4, fps))
    assert -1 not in found and found[-1] == 3 and found[0] == 0


def test_a_file_of_each_second_says_the_same_however_it_is_numbered():
    names = dict(enumerate("abcdefgh"))
    at = moments(8, 5)
    for holds in (True, False):
        by_second = as_seconds(FrameLabels(names, 25.0, may_be_seconds=True, holds=holds), 8.0)
        by_frame = FrameLabels(
            {25 * k: name for k, name in names.items()}, 25.0, (), 25, False, holds
        )
        assert by_second.at(at) == by_frame.at(at)
        assert ("".join(by_frame.at(at)) == "".join(5 * name for name in "abcdefgh")) == holds


def test_each_25th_frame_is_met_at_a_rate_that_is_not_quite_25():
    track = FrameLabels({25 * k: k for k in range(100)}, 24.97, every=25, holds=True)
    assert track.at(moments(20, 1)) == tuple(range(20))


def test_numbers_are_seconds_where_the_length_says_so():
    track = FrameLabels({k: k for k in range(100)}, 25.0, may_be_seconds=True)
    by_second = as_seconds(track, 101.0)
    assert by_second is not None and by_second.seconds == 100
    assert by_second.at(moments(100, 1)) == tuple(range(100))
    assert as_seconds(track, 4.0) is None and as_seconds(track, 60.0) is None
    assert as_seconds(FrameLabels(track.by_number, 25.0), 100.0) is None


def test_labels_much_too_short_or_long_are_at_another_rate():
    dense = FrameLabels({k: 0 for k in range(100)}, 25.0)
    sparse = FrameLabels({0: 0, 50: 0}, 25.0)
    few = IntervalLabels((Interval(0, 4, 0),))
    for own in (True, False):
        assert at_another_rate(dense, 100.0, own=own)
        assert at_another_rate(dense, 2.0, own=own)
        assert not at_another_rate(dense, 8.0, own=own)
        assert at_another_rate(few, 1.0, own=own)
    assert not at_another_rate(sparse, 100.0, own=True)
    assert at_another_rate(few, 4000.0, own=False) and not at_another_rate(few, 4000.0, own=True)
    assert not at_another_rate(IntervalLabels((Interval(0, math.inf, 0),)), 9.0, own=False)
    (note,) = length_notes(4.0, 100.0, 1.0, wrong_rate=True)
    assert "0.04 times as long as the video (1/25); is each of them for a second" in note
    (note,) = length_notes(4.0, 100.0, 1.0, wrong_rate=False)
    assert note.endswith("as long as the video (1/25)")


def test_what_lies_between_two_frames_is_found():
    lost = Interval(2.2, 2.9, 1)
    at_the_end = Interval(9.2, 9.9, 0)
    others = (Interval(0, 2.2, 0), Interval(2.9, 3.1, 0), Interval(12, 12.5, 0))
    track = IntervalLabels((at_the_end, lost, *others))
    assert lost_intervals(track, moments(10, 1), 10.0) == [lost, at_the_end]
    assert lost_intervals(track, moments(10, 5), 10.0) == []


def test_a_run_of_frames_between_two_that_are_kept_is_found():
    labels = [0] * 30 + [1] * 15 + [0] * 30
    track = FrameLabels(dict(enumerate(labels)), 25.0)
    assert lost_intervals(track, moments(3, 1), 3.0) == [Interval(30 / 25, 45 / 25, 1)]
    assert lost_intervals(track, moments(3, 2), 3.0) == []
    several = FrameLabels({k: (label,) for k, label in enumerate(labels)}, 25.0)
    assert lost_intervals(several, moments(3, 1), 3.0) == []


def test_labels_that_fill_a_video_one_too_late_are_told():
    from_one = FrameLabels({k: 0 for k in range(1, 11)}, 1)
    assert "are of seconds 1 … 10, the video's are 0 … 9" in numbered_from_one(from_one, 10)
    assert "frames (at 25 a second) 1 … 50" in numbered_from_one(
        FrameLabels({k: 0 for k in range(1, 51)}, 25), 2
    )
    for track, seconds in (
        (from_one, 11),  # the first one may be missing
        (from_one, 9),
        (FrameLabels({k: 0 for k in range(10)}, 1), 10),
        (FrameLabels({k: 0 for k in range(2, 12)}, 1), 10),
        (FrameLabels({1: 0}, 1), 1),
    ):
        assert not numbered_from_one(track, seconds)


def test_intervals_after_the_end_are_found():
    track = IntervalLabels((Interval(12, 14, 0), Interval(0, 20, 1), Interval(10, 11, 2)))
    assert [interval.label for interval in intervals_beyond(track, 10.0)] == [2, 0]
    assert not intervals_beyond(whole_video(1), 10.0)
