"""Of the frames of an evaluation's clips, were too many unreadable?"""

import dataclasses
import sys

import jax
import numpy as np

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.data.storage.open import open_frames
from surgvista_jax.training.unreadable import TooManyUnreadable, UnreadableLimit

_TRIED = 8  # videos that are looked at where a process could read nothing of its clips


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

    def look(self, unreadable: np.ndarray | None) -> None:
        """Is shown what one of several processes has of a batch, before it has as many as a batch.

        A damaged video may be all that it has; where other videos cannot be read either, waiting
        for more is of no use.

        Args:
            unreadable: int32 [b], how many frames each clip lacks.

        Raises:
            TooManyUnreadable: no frame of them could be read, nor one of other videos.
        """
        assert unreadable is not None
        count, clips = int(unreadable.sum()), len(unreadable)
        if clips and count == clips * self.clip.num_frames and not self._can_be_read():
            raise TooManyUnreadable(
                f"{self.dataset.folder}: none of the {count} frames of {clips} clips could be read,"
                " nor any of other videos; is the dataset still there?"
            )

    def _can_be_read(self) -> bool:
        """Whether some videos, from the first to the last, have a frame that can be."""
        places = list(self.dataset.places())
        for number in np.unique(np.linspace(0, len(places) - 1, _TRIED).round().astype(int)):
            frames = open_frames(*places[number])
            if not frames.read(np.array([frames.num_frames // 2]))[1].all():
                return True
        return False

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
