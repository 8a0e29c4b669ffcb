"""Live: the newest frame wins, what was seen is told however it ends, sources say why they end."""

import errno
import gc
import json
import os
import signal
import sys
import threading
import weakref
from types import SimpleNamespace

import numpy as np
import pytest

from surgvista_jax.data.conversion.frame_readers import FileReader
from surgvista_jax.data.storage.video_stream import VideoOptions
from surgvista_jax.errors import UserError
from surgvista_jax.inference import live_sources
from surgvista_jax.inference.live import Outcome, predict_live
from surgvista_jax.inference.live_sources import (
    Camera,
    FileInRealTime,
    Raw,
    RawFrames,
    open_source,
)
from surgvista_jax.inference.streaming import Prediction
from tests.support.footage import cut, numbers, write_video

OPTIONS = VideoOptions()


class Echo:
    """Says of each frame its number; `wait` is called before."""

    def __init__(self, wait=lambda: None, kind="single"):
        self.meaning = SimpleNamespace(label_kind=kind)
        self.got: list[int] = []
        self._wait = wait

    def push(self, frame, time):
        self._wait()
        number = int(frame[0, 0, 0])
        self.got.append(number)
        scores = np.array([0.75, 0.6], np.float32)
        return Prediction(number, time, scores, ("é", "b"), (0.75, 0.6)) if number % 2 else None


class Given:
    """Frames 0, 1, …; `between` is called after each."""

    def __init__(self, count, between=lambda number: None, broke=""):
        self.broke, self._count, self._between = "", count, between
        self._broken = broke

    def frames(self):
        for number in range(self._count):
            yield number / 2, np.full((2, 2, 3), number, np.uint8)
            self._between(number)
        self.broke = self._broken


def step_by_step(count, broke=""):
    """A predictor and a source that wait for one another."""
    taken = threading.Semaphore(0)
    predictor = Echo(taken.release)
    return predictor, Given(count, lambda _: taken.acquire(timeout=60), broke)


def test_a_line_is_said_for_each_prediction():
    predictor, source = step_by_step(4)
    said: list[str] = []
    outcome = predict_live(predictor, source, said.append)
    lines = [json.loads(line) for line in said]
    latencies = [line.pop("latency_ms") for line in lines]
    assert lines == [{"time": t, "label": "é", "probability": 0.75} for t in (0.5, 1.5)]
    assert min(latencies) >= 0 and "é" in said[0]
    assert (outcome.seen, outcome.dropped, outcome.status) == (4, 0, 0)
    several: list[str] = []
    predict_live(Echo(kind="multi"), Given(2), several.append)
    assert json.loads(several[-1])["label"] == ["é", "b"]
    assert json.loads(several[-1])["probability"] == [0.75, 0.6]


def test_a_slow_model_drops_frames_and_takes_the_newest():
    all_came = threading.Event()
    predictor = Echo(lambda: all_came.wait(60))
    first = threading.Event()
    predictor._wait = lambda: (first.set(), all_came.wait(60))

    def between(number):
        if number == 0:
            first.wait(60)  # the first one is being predicted when the others come
        if number == 7:
            all_came.set()

    outcome = predict_live(predictor, Given(8, between), lambda line: None)
    assert predictor.got == [0, 7]
    assert (outcome.seen, outcome.dropped, len(outcome.latencies)) == (8, 6, 1)


def test_garbage_of_before_is_no_pause_of_a_stream_and_is_collected_after_it():
    class Circle:
        pass

    before, turn, seen = Circle(), sys.getswitchinterval(), []
    before.own, gone = before, weakref.ref(before)

    def while_frames_come():
        nonlocal before
        before = None
        gc.collect()
        seen.append((gone() is not None, sys.getswitchinterval()))

    predict_live(Echo(while_frames_come), Given(1), lambda line: None)
    gc.collect()
    assert seen == [(True, pytest.approx(0.0005))]
    assert gone() is None and sys.getswitchinterval() == turn


def test_one_line_tells_what_was_seen_and_how_it_ended():
    predictor, source = step_by_step(3, broke="gives no more pictures")
    outcome = predict_live(predictor, source, lambda line: None)
    assert outcome.status == 1
    told = str(outcome)
    assert told.startswith("gives no more pictures; 3 frames seen, 0 dropped, 1 prediction; ms ")
    assert str(Outcome()) == "0 frames seen, 0 dropped, 0 predictions"
    shares = str(Outcome(100, 0, list(map(float, range(1, 101)))))
    assert shares.endswith("ms from frame to label: p50 50.5, p95 95.0, p99 99.0, max 100.0")


def test_frames_that_change_their_size_end_it_with_what_was_seen():
    predictor, source = step_by_step(3)
    plain = source.frames

    def frames():
        yield from plain()
        yield 9.0, np.zeros((4, 6, 3), np.uint8)

    source.frames = frames
    outcome = predict_live(predictor, source, lambda line: None)
    assert predictor.got == [0, 1, 2] and outcome.status == 1
    told = "its frames change from 2x2 to 6x4 pixels; start it again; 4 frames seen, 0 dropped"
    assert str(outcome).startswith(told)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_with_what_was_seen(number):
    before, never = signal.getsignal(number), threading.Event()

    def between(count):
        if count == 2:
            os.kill(os.getpid(), number)
            never.wait(60)  # a camera that gives nothing now

    try:
        outcome = predict_live(Echo(), Given(9, between), lambda line: None)
    finally:
        never.set()
    assert outcome.status == 128 + number and outcome.seen == 3
    assert str(outcome).startswith("told to stop; 3 frames seen")
    assert signal.getsignal(number) is before


MEMORY = "out of memory (Unable to allocate 6 MiB)"


@pytest.mark.parametrize(
    ("error", "said", "kept"),
    [
        (UserError("no more"), "no more", False),
        (MemoryError("Unable to allocate 6 MiB"), MEMORY, False),
        (OSError(errno.EIO, "Input/output error"), "Input/output error", False),
        (ValueError("a\nb"), "it ended by an error that nobody foresaw: ValueError: a b", True),
        (AssertionError(), "it ended by an error that nobody foresaw: AssertionError", True),
        (BrokenPipeError(), "the program that read the predictions ended", True),
    ],
)
@pytest.mark.parametrize("place", ["source", "model", "reader", "record"])
def test_whatever_fails_ends_it_with_what_was_seen(error, said, kept, place):
    """In words; what they do not say all of is there for whoever looks for the fault."""
    predictor, source = step_by_step(9)
    given, lines = source.frames, []

    def fail(number):
        if number == 3:
            raise error

    def frames():
        for second, frame in given():
            if place == "source":
                fail(frame[0, 0, 0])
            yield second, frame

    source.frames, push = frames, predictor.push

    def failing(frame, time):
        if place == "model":
            fail(frame[0, 0, 0])
        return push(frame, time)

    def say(line):
        lines.append(line)
        if place == "reader":
            fail(1 + 2 * len(lines) - 2)

    def keep(arrived, prediction):
        if place == "record":
            fail(arrived.frame[0, 0, 0])

    predictor.push = failing
    outcome = predict_live(predictor, source, say, keep)
    assert outcome.status == 1 and str(outcome).startswith(f"{said}; ")
    assert outcome.error is (error if kept else None)
    assert 3 <= outcome.seen <= 5 and len(outcome.latencies) == len(lines) in (1, 2)


@pytest.mark.parametrize("left", [0, 5])
def test_raw_frames_end_where_the_pipe_ends(left):
    frames = np.random.default_rng(0).integers(0, 256, (3, 4, 6, 3), np.uint8)
    ours, theirs = os.pipe()
    os.write(theirs, frames.tobytes() + bytes(left))
    os.close(theirs)
    source = RawFrames(ours, Raw(6, 4, 10.0))
    assert source.size == (6, 4)
    found = list(source.frames())
    os.close(ours)
    assert [time for time, _ in found] == [0.0, 0.1, 0.2]
    np.testing.assert_array_equal([frame for _, frame in found], frames)
    assert source.broke == ("ends within frame 3, at 5 of its 72 bytes" if left else "")
    assert not list(source.frames()) and source.broke == "cannot be read: Bad file descriptor"


def test_a_file_gives_the_frames_of_predict_each_at_its_time(tmp_path):
    path = write_video(tmp_path / "video.mp4", num_frames=60)
    clock, waited, begun_at = 50.0, [], []

    def wait(seconds):
        nonlocal clock
        clock += seconds
        waited.append(seconds)

    source = FileInRealTime(path, 5.0, OPTIONS, wait, lambda: clock)
    size = source.size
    clock, found = 60.0, []  # the clock starts at the first frame
    for second, frame in source.frames():
        found.append((second, frame))
        begun_at.append(clock)
        clock += 0.5 * (len(found) == 4)  # once, whoever takes them is late
        assert frame.shape == (*size[::-1], 3)
    assert [time for time, _ in found] == [k / 5 for k in range(12)]
    expected = FileReader(path, OPTIONS, threads=1).frames(5.0)
    for (_, frame), image in zip(found, expected, strict=True):
        np.testing.assert_array_equal(frame, image[:, :, ::-1])
    assert numbers(frame for _, frame in found) == list(range(0, 60, 5))
    late = [60 + k / 5 for k in range(12)]
    late[4:6] = [61.1, 61.1]
    np.testing.assert_allclose(begun_at, late, atol=1e-9)
    assert source.broke == "" and len(waited) == 9
    torn = FileInRealTime(cut(write_video(tmp_path / "torn.avi", 90)), 5.0, OPTIONS, wait)
    assert 5 < len(list(torn.frames())) < 12
    assert "breaks off: " in torn.broke
    with pytest.raises(UserError, match="has 2 frames a second, where the model was trained on 5"):
        FileInRealTime(write_video(tmp_path / "slow.mp4", 6, fps=2), 5.0, OPTIONS)


class Capture:
    """OpenCV's of a camera with two pictures."""

    opened: list = []
    released: list = []

    def __init__(self, where):
        self.opened.append(where)
        self._where = where
        self._left, self._there = [1, 2], where != 9

    def isOpened(self):  # noqa: N802
        return self._there

    def release(self):
        self.released.append(self._where)

    def get(self, key):
        return 2 if self._where == 3 else -1

    def read(self):
        if not self._left:
            return False, None
        return True, np.full((2, 2, 3), (0, 0, self._left.pop(0)), np.uint8)


def test_a_camera_gives_pictures_until_it_goes_away(monkeypatch):
    monkeypatch.setattr(live_sources.cv2, "VideoCapture", Capture)
    source = open_source(
        "/dev/video3" if os.path.exists("/dev/video3") else "3", 5.0, OPTIONS, None
    )
    assert source.size == (2, 2)
    times, frames = zip(*source.frames(), strict=True)
    assert [frame[0, 0].tolist() for frame in frames] == [[1, 0, 0], [2, 0, 0]]  # RGB
    assert 0 <= times[0] <= times[1] and source.broke == "gives no more pictures"
    assert Capture.released == [3]
    assert Camera("/dev/video7").size is None
    assert Capture.opened == [3, 7]
    with pytest.raises(UserError, match="--stream=9: cannot be opened"):
        open_source("9", 5.0, OPTIONS, None)
    assert Capture.released == [3, 9]


def test_a_camera_whose_picture_is_none_ends_with_what_was_seen(monkeypatch):
    given = iter([(True, np.zeros((2, 2, 3), np.uint8)), (True, np.zeros((2, 2, 2), np.uint8))])
    torn = SimpleNamespace(isOpened=lambda: True, release=lambda: None, read=lambda: next(given))
    monkeypatch.setattr(live_sources.cv2, "VideoCapture", lambda where: torn)
    source = Camera("4")
    assert len(list(source.frames())) == 1 and source.broke.startswith("OpenCV fails on it: ")


def test_sources_that_cannot_be_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no video")
    raw = Raw(4, 4, 5.0)
    for where, form, said in (
        ("-", None, "--frame-size=WxH and --frame-rate=R: are needed for --stream=-"),
        (str(tmp_path), None, "is no file"),
        (str(tmp_path / "no.mp4"), None, "there is no such file"),
        ("²", None, "there is no such file"),
        (str(tmp_path / "notes.txt"), None, "notes.txt: "),
        (str(tmp_path / "notes.txt"), raw, "and for nothing else"),
        ("-", Raw(4, 4, 2.0), "--frame-rate: has 2 frames a second, where the model"),
    ):
        with pytest.raises(UserError, match=said):
            open_source(where, 5.0, OPTIONS, form)
