"""Are frames that are given on as they are decoded those that extraction keeps?"""

import functools
from fractions import Fraction

import numpy as np
import pytest

from surgvista_jax.data.conversion.extract import ExtractConfig, Extracted, KeptFrames
from surgvista_jax.data.conversion.sources import SourceVideo
from surgvista_jax.data.conversion.streaming import Again, Job, Opened, Reading, events, stream
from surgvista_jax.data.storage.video_stream import UnreadableVideo
from tests.support import marked_videos as marked
from tests.support.footage import cut, index_first, numbers, write_images, write_video


def fit(frame):
    return frame[::2, ::2]


def every_third(count):
    return np.array([0, 3, 6, 6])


def source(path):
    return SourceVideo(path.name, path.stem, path, path.is_dir(), 0)


def given(path, config, **reading):
    return list(events(Job(source(path), Reading(config, fit, **reading), threads=1)))


def frames_of(found):
    """All frames, those that are repeated too."""
    frames = []
    for event in found:
        if isinstance(event, np.ndarray | Again):
            frames.append(frames[-1] if isinstance(event, Again) else event)
    return frames


def test_frames_are_those_that_extraction_keeps(tmp_path):
    path = write_video(tmp_path / "v.mp4", num_frames=80, size=(640, 480))
    config = ExtractConfig(fps=5.0, short_side=120)
    kept = KeptFrames(source(path), config)
    wanted = [fit(frame[..., ::-1]) for frame in kept]
    found = given(path, config)
    assert found[0] == Opened(5.0) and found[-1] == kept.extracted()
    np.testing.assert_array_equal(frames_of(found), wanted)
    assert len(wanted) == 16 and wanted[0].shape == (60, 80, 3)


def test_a_hole_repeats_a_frame_without_sending_it_again(tmp_path):
    times = marked.with_hole(75, 25, 50, 2)
    path = marked.write(tmp_path / "v.mkv", marked.Pictures(times=times))
    found = given(path, ExtractConfig(fps=5.0))
    again = sum(isinstance(event, Again) for event in found)
    assert again >= 9 and len(frames_of(found)) == found[-1].num_frames


def test_of_a_whole_video_the_chosen_frames_are_given(tmp_path):
    path = write_video(tmp_path / "v.mp4", num_frames=8)
    found = given(path, ExtractConfig(fps=25.0), choose=every_third)
    assert numbers(frames_of(found)) == [0, 3, 6, 6] and found[-1].num_frames == 8


def test_a_video_slower_than_is_asked_for_is_not_decoded(tmp_path):
    path = write_video(tmp_path / "v.mp4", num_frames=8, fps=2)
    assert given(path, ExtractConfig(fps=5.0), slowest=4.9) == [Opened(2.0)]


@pytest.mark.parametrize("fps", [Fraction(49, 2), Fraction(25000, 1001), Fraction(126, 5)])
@pytest.mark.parametrize("dropped", [(), (30, 31, 90, 150, 151, 152, 153)], ids=["even", "holes"])
def test_frames_of_nearly_the_wanted_rate_stand_at_their_own_times(tmp_path, fps, dropped):
    """Frame k is what was to be seen at second k / 25, up to the end, whatever the video's rate."""
    times = tuple(k / fps for k in range(240) if k not in dropped)
    pictures = marked.Pictures(count=len(times), fps=fps, times=times)
    path = marked.write(tmp_path / "v.mkv", pictures)
    found = given(path, ExtractConfig(fps=25.0), slowest=24.5)
    shown = [marked.number(frame) for frame in frames_of(found)]
    assert found[0] == Opened(25.0) and found[-1].num_frames == len(shown)
    instants, seconds = np.arange(len(shown)) / 25, np.array(times, float)
    steps = np.append(np.diff(seconds), 0)[shown]  # to the next picture: long at a hole
    late = instants - seconds[shown]
    assert np.all((late > -0.5 / 25 - 2e-3) & (late < np.maximum(steps, 1 / 24.5) + 2e-3))
    assert abs(instants[-1] - seconds[-1]) < 1 / 24


def test_what_comes_before_a_break_is_given(tmp_path):
    torn = cut(index_first(write_video(tmp_path / "torn.mp4", num_frames=100)), 0.6)
    found = given(torn, ExtractConfig(fps=25.0))
    *told, _ = numbers(frames_of(found))  # the last one is torn itself
    assert told == list(range(len(told))) and 20 < len(told) < 99
    assert isinstance(found[-1], Extracted) and found[-1].is_short
    sizes = [(64, 48), (64, 48), (32, 48)]
    found = given(write_images(tmp_path / "images", sizes), ExtractConfig(fps=1.0))
    assert len(frames_of(found)) == 2 and "frames of different sizes" in str(found[-1])


def test_videos_come_one_after_the_other_from_processes_of_their_own(tmp_path):
    """One that cannot be opened says why, and the others are read."""
    paths = [write_video(tmp_path / f"{n}.mp4", num_frames=3 + n) for n in range(2)]
    empty = tmp_path / "empty.mp4"
    empty.touch()
    sources = list(map(source, [paths[0], empty, paths[1]]))
    reading = Reading(ExtractConfig(fps=25.0), functools.partial(np.flip, axis=0))
    streams = stream(sources, reading)
    found = list(streams)
    streams.close()
    assert [number for number, _ in found] == [0] * 5 + [1] + [2] * 6
    assert isinstance(found[5][1], UnreadableVideo)
    assert numbers(frames_of(event for number, event in found if number == 2)) == [0, 1, 2, 3]


@pytest.mark.parametrize("name", ["v.mp4", "v.avi"])
def test_margins_are_cut_off_as_in_extraction(tmp_path, name):
    path = write_video(tmp_path / name, num_frames=30)
    config = ExtractConfig(fps=25.0, cut_margins=True)
    kept = KeptFrames(source(path), config)
    np.testing.assert_array_equal(
        frames_of(given(path, config)), [fit(frame[..., ::-1]) for frame in kept]
    )
