"""What is left of a live prediction at its end: the files that `predict` writes of a video.

A stream has no end that is known, and cannot be looked at again: of each moment the scores are
kept, a few bytes, and of the frames as many small ones as a page shows.
"""

import dataclasses
from array import array
from pathlib import Path

import numpy as np

from surgvista_jax.data.conversion.own_videos import given_dataset
from surgvista_jax.data.dataset import UNLABELLED, Video
from surgvista_jax.inference.every_clip import Outputs
from surgvista_jax.inference.live import Arrived
from surgvista_jax.inference.predictions import (
    check_room,
    places_of,
    said_of,
    write_predictions,
    write_table,
    write_video_pages,
)
from surgvista_jax.inference.recordings import Moments
from surgvista_jax.inference.streaming import Prediction
from surgvista_jax.inference.trained import Trained
from surgvista_jax.ownership import Ownership
from surgvista_jax.predictions.smoothing import Smoothing
from surgvista_jax.viewer.film import Reel


class LiveRecord:
    """Takes what is said of a stream, and writes it once the stream has ended.

    Args:
        trained: what predicts.
        smoothing: of the predictions; its causal form is meant.
        owned: of the folder that is written.
        video: the id that the stream has there.
        source: the whole path of the file that it comes from; None where there is none.

    Raises:
        UserError: the id is no name of a file; a file in the way may not be replaced.
    """

    def __init__(
        self,
        trained: Trained,
        smoothing: Smoothing | None,
        owned: Ownership,
        video: str,
        source: Path | None = None,
    ):
        check_room(owned, [video])
        self._trained, self._owned, self._video, self._source = trained, owned, video, source
        self._smoothing = smoothing and dataclasses.replace(smoothing, causal=True)
        self._frame, self._scores = array("q"), array("f")
        self._reel = Reel()
        self._damage: tuple[str, ...] = ()

    def keep(self, arrived: Arrived, prediction: Prediction | None) -> None:
        """Takes a frame in that was pushed, and what was predicted by it.

        Second 0 is that of the predictor's frame 0.
        """
        self._reel.add(arrived.time, arrived.frame)
        if prediction is not None:
            self._frame.append(prediction.frame)
            self._scores.frombytes(np.asarray(prediction.scores, np.float32).tobytes())

    def write_said(self, broke: str = "") -> int:
        """Writes the table and predictions.npz; returns how many moments there are, if any.

        Args:
            broke: why the stream ended too early, in words; "" where it came to its end.

        Raises:
            CannotWrite: one cannot be written.
        """
        count, self._damage = len(self._frame), tuple(filter(None, [broke]))
        if count:
            owned, trained, moments = self._owned, self._trained, self._moments()
            write_table(owned, trained.meaning, moments)
            of = Path(self._video) if self._source is None else self._source.parent
            dataset = given_dataset(of, moments.folder, trained.meaning.fps)
            done = said_of(self._smoothing, trained)
            write_predictions(owned, trained, dataset, [moments], False, done)
        return count

    def write_page(self) -> Path:
        """Writes the page, after `write_said` has written moments; returns its file.

        Raises:
            CannotWrite: it cannot be written.
        """
        film = self._reel.film()
        places = places_of([self._moments()])
        return write_video_pages(self._owned, places, film=lambda operation: film)

    def _moments(self) -> Moments:
        frame = np.array(self._frame, np.int32)
        scores = np.array(self._scores, np.float32).reshape(len(frame), -1)
        unlabelled = np.full_like(frame, UNLABELLED)
        outputs = Outputs(np.zeros_like(frame), frame, unlabelled, scores, None)
        folder = self._owned.folder if self._source is None else self._source.parent
        name = "" if self._source is None else self._source.name
        fps = self._trained.meaning.fps
        video = Video(self._video, name, fps, int(frame[-1]) + 1)
        return Moments(video, folder, outputs, self._damage)
