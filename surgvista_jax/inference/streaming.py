"""A model that runs along with a video: frames in, one prediction for each moment out.

Online says what `surgvista predict` says of the whole video. On a processor clips are the same to
the pixel and numbers to the last bit, for clips are computed one by one there, and so are the
frames of a causal MS-TCN. On an accelerator `predict` has many clips at a time,
whose matrix products add up in another order: last digits differ.
"""

import dataclasses
import os
from collections.abc import Callable
from numbers import Real
from typing import Any

import flax.linen as nn
import jax
import numpy as np

from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.data.conversion.extract import ExtractConfig, reduced
from surgvista_jax.data.rates import ROUNDING, Grid, Picker
from surgvista_jax.errors import UserError
from surgvista_jax.host_memory import give_back
from surgvista_jax.inference.clip_batches import blank_batch, resize_frame
from surgvista_jax.inference.device_frames import DeviceFrames
from surgvista_jax.inference.device_pictures import fitted
from surgvista_jax.inference.every_clip import EveryClip
from surgvista_jax.inference.frame_probabilities import FrameByFrame
from surgvista_jax.inference.temporal import TrainedTemporal, load_trained
from surgvista_jax.inference.trained import Trained
from surgvista_jax.models import mstcn_state
from surgvista_jax.predictions.smoothing import Smoothing
from surgvista_jax.training.partition import RULES, MeshConfig, make_mesh, to_global
from surgvista_jax.training.state import create_filled

_SHORT_SIDE = ExtractConfig().short_side
_LATEST = 1e11  # seconds; beyond it times are of another unit, and too coarse for frames


@dataclasses.dataclass(frozen=True, eq=False)
class Prediction:
    """What is said of one moment.

    Attributes:
        frame: its number at the model's rate.
        time: seconds, on the clock of the frames that were pushed.
        scores: float32 [C], the probability of each class.
        labels: of the classes that hold: one, or where several may hold at once all above 0.5.
        probabilities: of these.
    """

    frame: int
    time: float
    scores: np.ndarray
    labels: tuple[str, ...]
    probabilities: tuple[float, ...]

    @property
    def label(self) -> str:
        """The class that holds; several are joined by ";", as in the tables of `predict`."""
        return ";".join(self.labels)


class StreamingPredictor:
    """Takes the frames of a video as they come, and predicts at the model's own rate.

    What is pushed between two of its moments costs next to nothing. Everything is compiled when it
    is made, and never again, if it is told the size of the frames. An accelerator makes them
    smaller itself, where a value differs by 1 of 255 here and there (`device_pictures`).

    Where no picture came in time, the last one before is seen; of several moments without a picture
    of their own only the newest is predicted, and an MS-TCN is given the features that it had last
    for the others.

    Attributes:
        meaning: classes, clip and rate of the model.
    """

    def __init__(
        self,
        model: str | os.PathLike | Trained,
        smoothing: Smoothing | None = None,
        start: float | None = None,
        frame_size: tuple[int, int] | None = None,
    ):
        """Compiles the model for one clip on the first device.

        Args:
            model: what `surgvista predict --checkpoint` takes, or what was read of it.
            smoothing: its causal form is taken.
            start: the second of frame 0, at which the frames begin; of moments before the first
                one that is pushed, such as where a busy machine drops some, nothing is said. None:
                the second of that first one.
            frame_size: width and height of the frames, as far as it is known; of other ones the
                first is predicted late by an accelerator, which compiles for them.

        Raises:
            UserError: it cannot be read, or sees more than the past.
            ValueError: `start` is no second.
        """
        if start is not None:
            _check_seconds("start", start)
        trained = model if isinstance(model, Trained) else load_trained(os.fspath(model))
        if not trained.causal:
            what = "an MS-TCN that sees what comes later (model.causal=false)"
            if not isinstance(trained, TrainedTemporal):
                what = "a model of whole videos (clip.sampling='uniform')"
            raise UserError(f"{trained.name}: {what} cannot run along with a video")
        self.meaning = trained.meaning
        self._smoothing = smoothing and dataclasses.replace(smoothing, causal=True)
        self._start = start
        mesh, clip = make_mesh(MeshConfig(data=1), jax.devices()[:1]), self.meaning.clip
        fit_here, fit_there, shape = self._fitted_here, _as_it_is, (clip.size, clip.size, 3)
        if jax.default_backend() != "cpu":  # there the program is that of `predict`
            trained = trained.unrolled
            fit_here, fit_there = _as_it_is, self._fitted_there
            shape = shape if frame_size is None else (*frame_size[::-1], 3)
        self._fit = fit_here
        every_clip = EveryClip(trained.of_clip, clip, LoaderConfig(), mesh, batch_size=1)
        with jax.set_mesh(mesh), nn.logical_axis_rules(RULES):
            self._params = create_filled(trained.init, trained.params, mesh)
            batch = to_global(mesh, blank_batch(clip, 1))
            # On a processor the program of `predict`, so that what it says is the same.
            self._of_clip = every_clip.program.lower(self._params, batch).compile()
        del batch["video"]
        self._rest = batch  # what the program is given beside the clip
        self._past = DeviceFrames(clip, mesh, fit_there)
        # No parameter is held here beside those on the device.
        self._temporal = None
        if isinstance(trained, TrainedTemporal):
            self._temporal = trained.model
            self._own = jax.device_put(dict(trained.own_params), jax.devices()[0])
            self._along = FrameByFrame(trained.model)
            self._along.compile(self._own)
        self.restart()
        self._past.push(np.zeros(shape, np.uint8))
        self._values()  # the first call compiles what is small, and allocates
        self.restart()
        give_back()  # what compiling took, which no frame needs again

    def restart(self) -> None:
        """Forgets the video: the next frame is the first one of another."""
        self._past.restart()
        self._picker: Picker[_Picture] | None = None
        self._last: float | None = None
        self._shape: tuple[int, ...] | None = None
        self._follow = self._smoothing.follower() if self._smoothing is not None else None
        self._features: np.ndarray | None = None
        if self._temporal is not None:
            self._state = self._along.begin()

    def push(self, frame: np.ndarray, time: float) -> Prediction | None:
        """Takes the next frame; predicts if by it a moment of the model's rate is known.

        Args:
            frame: [H, W, 3] uint8 RGB, all of one size; it may be changed afterwards.
            time: seconds; they may start anywhere, and never go back.

        Raises:
            ValueError: another type, shape or size; a time before that of the last frame.
        """
        time = self._checked(frame, time)
        picker = self._picker
        if picker is None:
            self._grid = self._grid_from(time if self._start is None else self._start)
            picker = self._picker = Picker(self._grid, self._grid.first_near(time))
        picture = _Picture(frame, self._fit)
        self._last, self._shape = time, frame.shape
        held = self._jump(picker, time)
        newest = None
        for pick in picker.take(time, picture):
            assert pick.picture is not None  # the picker begins at one
            self._past.push(pick.picture.fitted())
            held += newest is not None
            newest = pick
        picture.keep()
        return None if newest is None else self._predict(newest.k, held)

    def _checked(self, frame: np.ndarray, time: float) -> float:
        """The time as a plain number; see `push` for what is refused."""
        if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8:
            kind = frame.dtype if isinstance(frame, np.ndarray) else type(frame).__name__
            raise ValueError(f"frame: should be an array of uint8 RGB, not of {kind}")
        if frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
            raise ValueError(f"frame: should be [H, W, 3], not {list(frame.shape)}")
        if self._shape is not None and frame.shape != self._shape:
            (first, other) = (f"{w}x{h}" for h, w, _ in (self._shape, frame.shape))
            raise ValueError(
                f"frame: is {other}, those before {first}; restart() for another video"
            )
        _check_seconds("time", time)
        time = float(time)
        if self._last is not None and time < self._last:
            raise ValueError(f"time={time}: comes before {self._last}, that of the last frame")
        if self._start is not None and time < self._start - 0.5 / self.meaning.fps:
            raise ValueError(f"time={time}: comes before the start, {self._start}")
        return time

    def _grid_from(self, start: float) -> Grid:
        fps = self.meaning.fps
        return Grid(start, fps, ROUNDING / fps + 1e-6, grace=1 / fps)

    def _jump(self, picker: "Picker[_Picture]", time: float) -> int:
        """Leaves out what of a long hole no clip will see; the number of frames."""
        behind = int((time - self._grid.instant(picker.next)) * self.meaning.fps)
        frames = behind - self._past.reach
        if frames <= 0:
            return 0
        picker.next += frames
        return frames

    def _predict(self, frame: int, held: int) -> Prediction:
        values = self._values()
        if self._temporal is not None:
            if self._features is not None and held:
                frames = min(held, mstcn_state.reach(self._temporal))
                repeated = np.broadcast_to(self._features, (frames, len(self._features)))
                _, self._state = self._along(self._own, self._state, repeated)
            found, self._state = self._along(self._own, self._state, values[None])
            self._features, values = values, found[0]
        scores = values if self._follow is None else self._follow(frame, values)
        meaning = self.meaning
        if meaning.label_kind == "single":
            held_classes = [int(scores.argmax())]
        else:
            held_classes = np.flatnonzero(scores > 0.5).tolist()
        return Prediction(
            frame,
            self._grid.instant(frame),
            scores,
            tuple(meaning.classes[k] for k in held_classes),
            tuple(float(scores[k]) for k in held_classes),
        )

    def _values(self) -> np.ndarray:
        """What is computed of the newest clip alone, float32 [X]."""
        batch = {**self._rest, "video": self._past.clip()}
        values = self._of_clip(self._params, batch)["values"]
        values.copy_to_host_async()  # as soon as it is there, not once somebody waits for it
        return np.asarray(values)[0]

    def _fitted_here(self, frame: np.ndarray) -> np.ndarray:
        """[size, size, 3], as `predict` makes it of the frames that it decodes."""
        small = np.ascontiguousarray(reduced(frame, _SHORT_SIDE))
        return resize_frame(self.meaning.clip.size, small)

    def _fitted_there(self, frame: jax.Array) -> jax.Array:
        return fitted(frame, _SHORT_SIDE, self.meaning.clip.size)


def _as_it_is(frame: Any) -> Any:
    return frame[:]  # another array object: the caller's may hold another picture next time


def _check_seconds(name: str, value: object) -> None:
    if not isinstance(value, Real) or not abs(float(value)) < _LATEST:
        raise ValueError(f"{name}={value}: should be seconds")


class _Picture:
    """A frame, made as the model takes it only if a moment shows it."""

    def __init__(self, frame: np.ndarray, fit: Callable[[np.ndarray], np.ndarray]):
        self._frame, self._fit = frame, fit
        self._fitted: np.ndarray | None = None

    def fitted(self) -> np.ndarray:
        """The frame, fitted; always the same array."""
        if self._fitted is None:
            self._fitted = self._fit(self._frame)
        return self._fitted

    def keep(self) -> None:
        """Makes it independent of the caller's array."""
        if self._fitted is None:
            self._frame = np.array(self._frame)
