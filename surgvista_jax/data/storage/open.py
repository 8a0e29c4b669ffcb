"""Where a video's frames are: the one place that decides what they are read from."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from surgvista_jax.data.dataset import Video
from surgvista_jax.data.storage.decode import EncodedFrames, Frames, read_bytes, read_image
from surgvista_jax.data.storage.records import find_packed
from surgvista_jax.data.storage.tfds import find_tfds
from surgvista_jax.data.storage.video_file import VideoFile

__all__ = ["FRAME_NAME", "FrameFolder", "open_frames", "read_image"]

FRAME_NAME = "{:06d}.jpg"


@dataclass(frozen=True)
class FrameFolder(EncodedFrames):
    """The frames of one video as images `000000.jpg`, `000001.jpg`, ... of one folder."""

    folder: Path
    num_frames: int

    def encoded(self, frame_ids: list[int]) -> Iterator[bytes | None]:
        return (read_bytes(self.folder / FRAME_NAME.format(frame_id)) for frame_id in frame_ids)


def reads_video_files(places: Iterable[tuple[Path, Video]]) -> bool:
    """Whether frames of any of these videos (folder and entry) come from a video file."""
    return any(
        isinstance(open_frames(folder, video), VideoFile)
        for folder, video in places
        if (folder / video.source).is_file()
    )


def open_frames(folder: Path, video: Video, *, packed: bool = True) -> Frames:
    """The frames of one video of the dataset in `folder`, whatever they are stored as.

    Records come first, where the folder has some of this video; then what its `source` is: an
    example of a TFDS folder, a video file or a folder of images.

    Args:
        folder: the dataset's folder.
        video: its entry in the manifest.
        packed: false to read what records are made of.

    Raises:
        UserError: the records are of another version of the video.
    """
    folder = Path(folder)
    if packed and (records := find_packed(folder, video.video, video.num_frames)):
        return records
    if examples := find_tfds(folder, video.source, video.num_frames):
        return examples
    source = folder / video.source
    if source.is_file():
        return VideoFile(source, video.num_frames, video.fps)
    return FrameFolder(source, video.num_frames)
