"""Which of the newest frames of a video have to be remembered for the clip that ends now?"""

import numpy as np

from surgvista_jax.data.batches.clips import ClipConfig, clip_frame_ids


class PastFrames:
    """The newest frames of one video, as many as a clip looks back; the older ones are forgotten.

    Attributes:
        count: frames so far; the newest is frame `count` - 1.

    Args:
        clip: with sampling "past".
    """

    def __init__(self, clip: ClipConfig):
        self.count = 0
        self._clip = clip
        reach = (clip.num_frames - 1) * clip.stride + 1
        self._frames: list[np.ndarray | None] = [None] * reach

    def push(self, frame: np.ndarray) -> None:
        """Takes the next frame, [size, size, 3] uint8; it must not be changed afterwards."""
        self._frames[self.count % len(self._frames)] = frame
        self.count += 1

    def write(self, out: np.ndarray) -> None:
        """Writes the clip that ends at the newest frame into `out`, [T, size, size, 3] uint8."""
        ids = clip_frame_ids(self.count - 1, self._clip.num_frames, self._clip.stride)
        for target, number in zip(out, ids.tolist(), strict=True):
            target[...] = self._frames[number % len(self._frames)]
