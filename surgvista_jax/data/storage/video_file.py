"""Single frames read straight from a video file, without extracting them first.

Meant for files with short groups of pictures (a key frame every second or so): each jump decodes
from a key frame on. Frame files and records are quicker and cost more disk.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from surgvista_jax.data.rates import is_rate, kept_index
from surgvista_jax.data.storage.decode import Frames

import cv2  # isort: skip  # after `decode`, which silences it

# OpenCV's jump goes to a key frame at least 16 frames back and decodes from there: up to here,
# decoding straight on is as quick.
_NEAR = 24
_NOWHERE = -(_NEAR + 1)  # after a failure: far from every frame


@dataclass(frozen=True)
class VideoFile(Frames):
    """The frames of a video file at `fps`: frame k is the first at or after the time k / fps.

    These are the frames that `surgvista data convert videos` extracts at that rate.
    """

    path: Path
    num_frames: int
    fps: float

    def images(self, frame_ids: list[int]) -> Iterator[np.ndarray | None]:
        capture = cv2.VideoCapture(
            str(self.path.resolve()), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1]
        )
        try:
            native_fps = capture.get(cv2.CAP_PROP_FPS) if capture.isOpened() else 0.0
            keep_every = native_fps / min(self.fps, native_fps) if is_rate(native_fps) else 1.0
            following = 0  # the frame that would be decoded next
            for frame_id in frame_ids:
                wanted = kept_index(frame_id, keep_every)
                readable = capture.isOpened() and _go_to(capture, wanted, following)
                if readable:
                    readable, image = capture.read()
                following = wanted + 1 if readable else _NOWHERE
                yield cv2.cvtColor(image, cv2.COLOR_BGR2RGB) if readable else None
        finally:
            capture.release()


def _go_to(capture: cv2.VideoCapture, wanted: int, following: int) -> bool:
    """Places the capture before a frame; false where the file does not reach that far."""
    if 0 <= wanted - following <= _NEAR:
        return all(capture.grab() for _ in range(wanted - following))
    capture.set(cv2.CAP_PROP_POS_FRAMES, wanted)
    return round(capture.get(cv2.CAP_PROP_POS_FRAMES)) == wanted
