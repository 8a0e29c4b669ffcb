"""Stretches: frames over which several clips slide, and the stretches that make a dataset."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from surgvista_jax.checks import MOST_PIXELS
from surgvista_jax.counted import counted
from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.errors import UserError


def stretch_frames(clip: ClipConfig, tubelet: int) -> int:
    """S, the frames of a stretch of `clip.slide` clips, each a tubelet later than the one before.

    Raises:
        UserError: they are more than a clip may have.
    """
    frames = clip.num_frames + tubelet * (clip.slide - 1)
    if frames > MOST_PIXELS:
        most = (MOST_PIXELS - clip.num_frames) // tubelet + 1
        raise UserError(
            f"config.clip.slide={clip.slide}: makes stretches of {counted(frames, 'frame')}: take"
            f" {most:,}"
            " or less"
        )
    return frames


class StretchIndex:
    """Numbers the stretches of a dataset: every frame of every video ends one clip of one stretch.

    The clips of a stretch end `apart` frames after one another, the last with the stretch. A video
    is tiled from its end, so only its first stretches have places for clips that would end before
    its first frame; these stay empty. With one clip a stretch, stretches are numbered as clips are.
    """

    def __init__(self, num_frames: Sequence[int], slide: int, apart: int):
        """Takes the number of frames of each video, in the order of the dataset.

        Args:
            slide: K, places for clips in a stretch.
            apart: frames from the end of one clip to that of the next.
        """
        self._slide, self._apart = slide, apart
        self._num_frames = np.asarray(num_frames, np.int64)
        # Counted from its end, a video is blocks of K * apart frames, of whose first `apart` each
        # ends a stretch.
        blocks, rest = np.divmod(self._num_frames, slide * apart)
        self._ends = np.cumsum(apart * blocks + np.minimum(rest, apart))

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, index: int) -> tuple[int, int]:
        """Returns the number of the video and the last frame of stretch `index`."""
        if not 0 <= index < len(self):
            raise IndexError(f"stretch {index} of {len(self)}")
        video, last = self._locate(np.int64(index))
        return int(video), int(last)

    def all_of_them(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns of every stretch the number of its video and the clips in it, int64 [len]."""
        video, last = self._locate(np.arange(len(self)))
        return video, np.minimum(last // self._apart + 1, self._slide)

    def first(self, video: int) -> int:
        """Returns the index of the first stretch of a video; of one more video, the length."""
        return int(self._ends[video - 1]) if video else 0

    def _locate(self, index: Any) -> tuple[Any, Any]:
        """The video and the last frame of one stretch or of several, int64 like `index`."""
        video = np.searchsorted(self._ends, index, side="right")
        block, place = np.divmod(self._ends[video] - 1 - index, self._apart)
        return video, self._num_frames[video] - 1 - block * self._slide * self._apart - place

    def clip_ends(self, last: int) -> np.ndarray:
        """Returns the last frames of the clips of the stretch that ends at `last`, int64 [K].

        They ascend; below 0 there is no clip.
        """
        return last - self._apart * np.arange(self._slide - 1, -1, -1, dtype=np.int64)

    @property
    def places(self) -> int:
        """Places for clips in all stretches."""
        return self._slide * len(self)

    @property
    def clips(self) -> int:
        """Clips in all stretches: the frames of the dataset."""
        return int(self._num_frames.sum())

    @property
    def filled(self) -> float:
        """The share of places that hold a clip."""
        return self.clips / self.places if self.places else 1.0

    @property
    def longest(self) -> int:
        """The most clips that any stretch of these videos could hold."""
        return int((self._num_frames.max(initial=0) - 1) // self._apart + 1)


def stretches_of(num_frames: Sequence[int], clip: ClipConfig, tubelet: int) -> StretchIndex:
    """Returns the stretches of videos of so many frames.

    Raises:
        UserError: no video is long enough for as many clips a stretch.
    """
    apart = tubelet * clip.stride
    stretches = StretchIndex(num_frames, clip.slide, apart)
    if 0 < stretches.longest < clip.slide:
        raise UserError(
            f"config.clip.slide={clip.slide}: no video is long enough for so many clips,"
            f" {counted(apart, 'frame')} after one another; the longest has"
            f" {counted(max(num_frames), 'frame')}: take"
            f" {stretches.longest} or less"
        )
    return stretches
