"""Single frames read straight from a video file, without extracting them first.

Meant for files with short groups of pictures (a key frame every second or so): each jump decodes
from a key frame on. Frame files and records are quicker and cost more disk.
"""

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from surgvista_jax.data.storage.decode import BLACK_SHAPE, Frames
from surgvista_jax.data.storage.video_index import Index, read_index
from surgvista_jax.data.storage.video_seek import Seeker
from surgvista_jax.data.storage.video_stream import UnreadableVideo, VideoOptions
from surgvista_jax.errors import UserError

import cv2  # isort: skip  # after `decode`, which silences it

# A file without usable time stamps is read from its start for each clip, if it has so few pictures.
MOST_COUNTED = 3000
_OPTIONS = VideoOptions()


@dataclass(frozen=True)
class VideoFile(Frames):
    """The frames of a video file at `fps`, which `surgvista data convert videos` extracts there.

    The first frame that is asked for goes once through the packets of the whole file; what was
    found is kept for the clips after it.
    """

    path: Path
    num_frames: int
    fps: float

    def images(self, frame_ids: list[int]) -> Iterator[np.ndarray | None]:
        """As for all frames; black before the first picture of a recording.

        Raises:
            UserError: frames of this file cannot be found but by reading it from its start.
        """
        try:
            stat = self.path.stat()
            index = _index(self.path, stat.st_mtime_ns, stat.st_size)
            seeker = Seeker(self.path, _OPTIONS, index)
        except (OSError, UnreadableVideo):
            yield from (None for _ in frame_ids)
            return
        with seeker:
            if index.times.by_number and index.times.num_pictures > MOST_COUNTED:
                why = index.times.counted or "an AVI whose pictures are stored in another order"
                raise UserError(
                    f"{self.path}: its frames cannot be found without reading it from its start: "
                    f"it has no usable time stamps ({why}); extract them first, by "
                    "`surgvista data convert videos`"
                )
            grid = index.times.grid(min(self.fps, index.times.fps), _OPTIONS.clock)
            shape: tuple[int, ...] = BLACK_SHAPE
            for frame_id in frame_ids:
                pick = seeker.pick(grid, frame_id)
                if pick is None:
                    yield None
                    continue
                if pick.picture is None:
                    first = seeker.pick(grid, int(np.ceil(index.times.lead * grid.fps)) + 1)
                    if first is not None and first.picture is not None:
                        shape = seeker.pixels.array(first.picture).shape
                    yield np.zeros(shape, np.uint8)
                else:
                    yield cv2.cvtColor(seeker.pixels.array(pick.picture), cv2.COLOR_BGR2RGB)


@functools.lru_cache(maxsize=64)
def _index(path: Path, modified: int, size: int) -> Index:
    return read_index(path, _OPTIONS)
