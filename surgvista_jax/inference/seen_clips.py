"""Of the frames of an evaluation's clips, were too many unreadable?"""

import dataclasses
import sys

import jax
import numpy as np

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.training.unreadable import TooManyUnreadable, UnreadableLimit


@dataclasses.dataclass
class SeenClips:
    """How many clips were computed so far, and of how many of their frames there was none.

    Attributes:
        most_clips: how many may come.
    """

    dataset: Dataset
    clip: ClipConfig
    limit: UnreadableLimit
    most_clips: int
    clips: int = 0
    replaced: int = 0
    lacking: set[int] = dataclasses.field(default_factory=set)

    def add(self, video_index: np.ndarray, unreadable: np.ndarray | None) -> None:
        """Takes in the clips of a batch, int32 [b] each: of which video, how many frames lack.

        Raises:
            TooManyUnreadable: none of its frames could be read, or too few of all that may come.
        """
        assert unreadable is not None
        count, clips = int(unreadable.sum()), len(unreadable)
        self.clips += clips
        self.replaced += count
        self.lacking.update(video_index[unreadable > 0].tolist())
        if clips and count == clips * self.clip.num_frames:
            raise TooManyUnreadable(
                f"{self.dataset.folder}: none of the {count} frames of a batch of {clips} clips"
                f" could be read, {self._names()}; is the dataset still there?"
            )
        self._judge(self.most_clips)

    def close(self) -> None:
        """Judges all; what is said of clips that lack frames is worth less, and is told."""
        self._judge(self.clips)
        if self.replaced and jax.process_index() == 0:
            told = self._told(self.clips)
            print(f"WARNING: {told} and were replaced, {self._names()}", file=sys.stderr)

    def _judge(self, clips: int) -> None:
        if self.limit.passed(self.replaced, clips * self.clip.num_frames):
            raise TooManyUnreadable(
                f"{self._told(clips)}, {self._names()}; more than {self.limit.max_share:.1%} of"
                f" unreadable frames are too many ({self.limit.key})"
            )

    def _told(self, clips: int) -> str:
        frames = clips * self.clip.num_frames
        return (
            f"{self.dataset.folder}: {self.replaced} of {frames} frames of clips could not be read"
        )

    def _names(self) -> str:
        """The videos that lack frames."""
        numbers = sorted(self.lacking)
        names = ", ".join(self.dataset.videos[number].video for number in numbers[:5])
        return f"in {names}" + (f" and {len(numbers) - 5} more" if len(numbers) > 5 else "")
