"""Live prediction: the newest frame to the model, a line for each prediction, a summary at the end.

A thread reads the frames. One that comes while the model is busy takes the place of the one that
waits, which is dropped: predictions never lag behind by more than one clip's time.
"""

import gc
import json
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import NamedTuple

import numpy as np

from surgvista_jax.counted import counted
from surgvista_jax.errors import ending
from surgvista_jax.inference.live_sources import Source
from surgvista_jax.inference.streaming import Prediction, StreamingPredictor

_TURN = 0.0005  # seconds; of Python's own 5 ms, a thread that reads frames may take each
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)  # the last: the terminal was closed


class Arrived(NamedTuple):
    """A frame that came.

    Attributes:
        time: its second in the video.
        frame: [H, W, 3] uint8 RGB.
        at: `time.perf_counter()` when it was there.
    """

    time: float
    frame: np.ndarray
    at: float


class Newest:
    """Room for one frame, the newest.

    Attributes:
        seen: frames that came.
        dropped: those of them that were never taken.
    """

    def __init__(self) -> None:
        self.seen = self.dropped = 0
        self._waiting: Arrived | None = None
        self._ended = False
        # Reentrant: a signal's handler runs in the thread that it interrupts.
        self._changed = threading.Condition(threading.RLock())

    def put(self, arrived: Arrived) -> bool:
        """Takes a frame in, in place of one that waits; False after the end: none is wanted."""
        with self._changed:
            if self._ended:
                return False
            self.seen += 1
            self.dropped += self._waiting is not None
            self._waiting = arrived
            self._changed.notify()
            return True

    def end(self, at_once: bool = False) -> None:
        """No more frames come; at once: nor is the one that waits wanted."""
        with self._changed:
            if at_once and self._waiting is not None:
                self.dropped += 1
                self._waiting = None
            self._ended = True
            self._changed.notify()

    def take(self) -> Arrived | None:
        """Waits for a frame; None at the end."""
        with self._changed:
            while self._waiting is None and not self._ended:
                self._changed.wait()
            arrived, self._waiting = self._waiting, None
            return arrived


@dataclass
class Outcome:
    """What came of a stream.

    Attributes:
        seen, dropped: frames.
        latencies: of each prediction, milliseconds from when its frame was there to its label.
        broke: why it ended too early, in words; "" where it came to its end.
        signal: by which it was told to stop; 0: none.
        error: that ended it and that nobody foresaw, or that nobody reads the lines any more.
    """

    seen: int = 0
    dropped: int = 0
    latencies: list[float] = field(default_factory=list)
    broke: str = ""
    signal: int = 0
    error: BaseException | None = None

    @property
    def status(self) -> int:
        """The exit code: 0 at the end, 1 where it ended too early, 128 + a signal's number."""
        return 128 + self.signal if self.signal else int(bool(self.broke))

    @property
    def shares(self) -> dict[str, float]:
        """Milliseconds within which 50, 95, 99 and all of 100 labels came, by name."""
        found = np.percentile(self.latencies, (50, 95, 99, 100)).tolist()
        return dict(zip(("p50", "p95", "p99", "max"), found, strict=True))

    def __str__(self) -> str:
        why = "told to stop" if self.signal else self.broke
        said = [why] if why else []
        said.append(
            f"{counted(self.seen, 'frame')} seen, {self.dropped} dropped,"
            f" {counted(len(self.latencies), 'prediction')}"
        )
        if self.latencies:
            parts = [f"{name} {ms:.1f}" for name, ms in self.shares.items()]
            said.append(f"ms from frame to label: {', '.join(parts)}")
        return "; ".join(said)


def predict_live(
    predictor: StreamingPredictor,
    source: Source,
    say: Callable[[str], None],
    keep: Callable[[Arrived, Prediction | None], None] = lambda arrived, prediction: None,
) -> Outcome:
    """Predicts until the source ends, a signal comes or something fails; runs in the main thread.

    A signal is Ctrl-C, SIGTERM, or that the terminal was closed. What fails is told, not raised: of
    hours that were seen nothing may be lost.

    Args:
        predictor: at the beginning of a video.
        source: where frames come from.
        say: takes a line of JSON for each prediction: `time` in seconds, `label`, `probability`
            (lists of both where several classes may hold) and `latency_ms`.
        keep: takes each frame that was pushed, once its prediction, if there is one, was said.
    """
    newest, outcome = Newest(), Outcome()
    failed: list[BaseException] = []

    def read() -> None:
        try:
            for second, frame in source.frames():
                if not newest.put(Arrived(second, frame, time.perf_counter())):
                    return
        except BaseException as error:  # belongs to whoever waits
            failed.append(error)
        finally:
            newest.end()

    def stop(number: int) -> None:
        outcome.signal = number
        newest.end(at_once=True)

    single, shape = predictor.meaning.label_kind == "single", None
    with _told_by_signals(stop), _without_pauses():
        threading.Thread(target=read, daemon=True).start()
        try:
            while not outcome.signal and (arrived := newest.take()) is not None:
                if arrived.frame.shape != (shape := shape or arrived.frame.shape):
                    was, now = (f"{w}x{h}" for h, w, _ in (shape, arrived.frame.shape))
                    outcome.broke = f"its frames change from {was} to {now} pixels; start it again"
                    break
                prediction = predictor.push(arrived.frame, arrived.time)
                if prediction is not None:
                    milliseconds = 1000 * (time.perf_counter() - arrived.at)
                    outcome.latencies.append(milliseconds)
                    say(_line(prediction, milliseconds, single))
                keep(arrived, prediction)
        except BaseException as error:
            failed.insert(0, error)
        newest.end(at_once=True)
    outcome.seen, outcome.dropped = newest.seen, newest.dropped
    if failed and not outcome.signal and not outcome.broke:
        _note(failed[0], outcome)
    outcome.broke = outcome.broke or source.broke
    return outcome


@contextmanager
def _without_pauses() -> Iterator[None]:
    """Threads take short turns, and a collection of garbage looks at what is new alone.

    One of all that JAX and a model hold takes 210 ms (ViT-B, H100), in which no frame is predicted.
    """
    turn = sys.getswitchinterval()
    gc.collect()
    gc.freeze()
    sys.setswitchinterval(_TURN)
    try:
        yield
    finally:
        sys.setswitchinterval(turn)
        gc.unfreeze()


def _note(error: BaseException, outcome: Outcome) -> None:
    """Notes why an exception ended a stream, and keeps it where words do not say all of it."""
    end = ending(error)
    if isinstance(error, BrokenPipeError):
        outcome.broke, outcome.error = "the program that read the predictions ended", error
    elif end is not None:
        outcome.broke = end.words
    else:
        said = " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
        outcome.broke = f"it ended by an error that nobody foresaw: {said:.300}"
        outcome.error = error


def _line(prediction: Prediction, milliseconds: float, single: bool) -> str:
    labels, shares = prediction.labels, [round(share, 4) for share in prediction.probabilities]
    told = {
        "time": round(prediction.time, 3),
        "label": labels[0] if single else list(labels),
        "probability": shares[0] if single else shares,
        "latency_ms": round(milliseconds, 2),
    }
    return json.dumps(told, ensure_ascii=False)


@contextmanager
def _told_by_signals(stop: Callable[[int], None]) -> Iterator[None]:
    """Has the signals that stop a program call `stop` instead."""

    def handle(number: int, _: FrameType | None) -> None:
        stop(number)

    with _handled_by(handle):
        yield


@contextmanager
def ignored_signals() -> Iterator[None]:
    """Has the signals that stop a program do nothing."""
    with _handled_by(signal.SIG_IGN):
        yield


@contextmanager
def _handled_by(
    handler: Callable[[int, FrameType | None], None] | signal.Handlers,
) -> Iterator[None]:
    # nohup has SIGHUP ignored, and means it.
    heeded = [number for number in _SIGNALS if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in heeded}
    try:
        yield
    finally:
        for number, usual in before.items():
            signal.signal(number, usual)
