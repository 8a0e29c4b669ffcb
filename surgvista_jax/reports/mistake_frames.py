"""The frames of mistakes as small JPEGs, from whatever a video is stored as."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from surgvista_jax.data.conversion.sources import find_videos
from surgvista_jax.data.storage.decode import Frames
from surgvista_jax.data.storage.manifest import DATASET_FILE, read_dataset
from surgvista_jax.data.storage.open import FrameFolder, open_frames
from surgvista_jax.data.storage.tfds import is_tfds
from surgvista_jax.data.storage.video_file import VideoFile
from surgvista_jax.errors import UserError
from surgvista_jax.image_files import jpeg
from surgvista_jax.predictions.times import moment

SIDE = 256  # pixels of the longer side
MOST_BYTES = 24_000  # of a picture, as far as quality can do it
_QUALITIES = (80, 60, 40, 20)
_SLACK = 1.5  # frames after a video's end that still mean its last one

Wanted = tuple[str, float]  # video, second


def wanted_of(mistakes: dict) -> list[Wanted]:
    """The moments that a page shows, each once."""
    items = [*mistakes["surest"], *(item for pair in mistakes["pairs"] for item in pair["items"])]
    return list(dict.fromkeys((item["video"], item["second"]) for item in items))


def read_pictures(
    wanted: Sequence[Wanted], folders: Sequence[Path], fps: float
) -> tuple[dict[Wanted, bytes], list[str]]:
    """JPEGs of moments of videos.

    Args:
        wanted: the moments.
        folders: dataset folders, or folders of video files and of frame folders that are called
            as the videos are; the first that has a video counts.
        fps: at which the frames of a folder lie that does not say it.

    Returns:
        The pictures of what could be read; and what could not, in words.

    Raises:
        UserError: a dataset folder has mistakes in it, or none of the videos is there.
    """
    moments: dict[str, list[float]] = {}
    for video, second in wanted:
        moments.setdefault(video, []).append(second)
    found: dict[str, tuple[Frames, float]] = {}
    for folder in reversed(folders):
        found |= _frames_in(folder, moments, fps)
    listed = ", ".join(map(str, folders))
    missing = [video for video in moments if video not in found]
    if len(missing) == len(moments):
        raise UserError(
            f"--frames {listed}: none of the videos is there, such as {missing[0]} (a dataset "
            "folder, a video file of that name, or a folder of that name with 000000.jpg, …)"
        )
    notes = []
    if missing:
        notes.append(f"Frames: {len(missing)} videos are not in {listed}, such as {missing[0]}.")
    pictures, unreadable = {}, []
    for video in tqdm([v for v in moments if v in found], desc="frames", disable=None):
        frames, rate = found[video]
        seconds = sorted(moments[video])
        for second, image in zip(seconds, _images(frames, rate, seconds), strict=True):
            if image is None:
                unreadable.append(f"{video} {moment(second)}")
            else:
                pictures[video, second] = _jpeg(image)
    if unreadable:
        notes.append(f"Frames: {len(unreadable)} could not be read, such as {unreadable[0]}.")
    return pictures, notes


def _frames_in(
    folder: Path, moments: dict[str, list[float]], fps: float
) -> dict[str, tuple[Frames, float]]:
    """The frames and their rate of each video that a folder holds of those that are wanted."""
    if (folder / DATASET_FILE).exists() or is_tfds(folder):
        dataset = read_dataset(folder)
        return {
            video.video: (open_frames(dataset.folder, video), video.fps)
            for video in dataset.videos
            if video.video in moments
        }
    found: dict[str, tuple[Frames, float]] = {}
    for source in find_videos(folder, skip=folder / ".none").videos:
        if source.video not in moments:
            continue
        if not source.is_folder:
            last = int(max(moments[source.video]) * fps) + 2
            found[source.video] = VideoFile(source.path, last, fps), fps
        elif numbers := [int(path.stem) for path in source.path.glob("[0-9]" * 6 + ".jpg")]:
            found[source.video] = FrameFolder(source.path, max(numbers) + 1), fps
    return found


def _images(frames: Frames, rate: float, seconds: list[float]) -> Iterable[np.ndarray | None]:
    """The picture at each second, None where there is none."""
    places = [round(second * rate) for second in seconds]
    last = frames.num_frames - 1
    places = [min(k, last) if k < last + _SLACK else -1 for k in places]
    asked = sorted({k for k in places if k >= 0})
    try:
        known = dict(zip(asked, frames.images(asked), strict=True))
    except UserError:  # frames of this file cannot be found one by one
        known = {}
    return [known.get(k) for k in places]


def _jpeg(image: np.ndarray) -> bytes:
    """A picture [H, W, 3] uint8 RGB, made small."""
    height, width = image.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    size = max(1, round(width * scale)), max(1, round(height * scale))
    small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    data = b""
    for quality in _QUALITIES:
        data = jpeg(small, quality)
        if len(data) <= MOST_BYTES:
            break
    return data
