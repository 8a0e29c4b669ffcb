"""Clips: the frames that make one, and the clips that make a dataset."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from surgvista_jax.checks import MOST_PIXELS, check_one_of, check_whole

SAMPLINGS = ("past", "uniform")


@dataclasses.dataclass(frozen=True, slots=True)
class ClipConfig:
    """A clip: `num_frames` frames, `stride` frames of the dataset apart, `size` pixels a side.

    Attributes:
        sampling: "past": any frame ends a clip, which looks back by `stride`; "uniform": each video
            is one clip, whatever its length, as in sets of short clips, and `stride` is not used.
        slide: clips that slide over one stretch of frames in pretraining, each a tubelet later than
            the one before it; they share its crop. 1: each clip has frames of its own.
    """

    num_frames: int = 16
    stride: int = 4
    size: int = 224
    sampling: str = "past"
    slide: int = 1

    def __post_init__(self) -> None:
        check_whole(self, 1, "num_frames", "size", highest=MOST_PIXELS)
        check_whole(self, 1, "stride")
        check_one_of(self, SAMPLINGS, "sampling")
        check_whole(self, 1, "slide", highest=1024)
        if self.slide > 1 and self.sampling != "past":
            raise ValueError(
                f"slide={self.slide}: sampling='uniform' makes one clip of a video, which cannot"
                " slide: take 1"
            )


def clip_frame_ids(last: int, num_frames: int, stride: int) -> np.ndarray:
    """Returns the frames of the clip that ends at frame `last`, int64 [T], ascending.

    No frame is later than `last`. Going back by `stride` stops before it would pass the start of
    the video; from there the frame reached is repeated (6 at stride 4: 2, 2, 2, 6), so that the
    first frame of the video is not favoured.
    """
    steps_back = np.arange(num_frames - 1, -1, -1, dtype=np.int64)
    return last - stride * np.minimum(steps_back, last // stride)


def uniform_frame_ids(video_frames: int, num_frames: int) -> np.ndarray:
    """Returns frames spread over a whole video of `video_frames`, int64 [T], ascending.

    They lie `video_frames` // `num_frames` apart, from the first on. A video that is too short
    gives all its frames, and then its last one again.
    """
    spacing = max(1, video_frames // num_frames)
    return np.minimum(spacing * np.arange(num_frames, dtype=np.int64), video_frames - 1)


class ClipIndex:
    """Numbers the clips of a dataset: every frame of every video ends one clip."""

    def __init__(self, num_frames: Sequence[int]):
        """Takes the number of frames of each video, in the order of the dataset."""
        self._ends = np.cumsum(np.asarray(num_frames, np.int64))

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    def __getitem__(self, index: int) -> tuple[int, int]:
        """Returns the number of the video and the last frame of clip `index`."""
        if not 0 <= index < len(self):
            raise IndexError(f"clip {index} of {len(self)}")
        video = int(np.searchsorted(self._ends, index, side="right"))
        return video, int(index - self.first(video))

    def first(self, video: int) -> int:
        """Returns the index of the clip that ends at frame 0 of a video."""
        return int(self._ends[video - 1]) if video else 0
