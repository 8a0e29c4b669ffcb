"""The video files and frames that belong to predicted videos."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

from surgvista_jax.data.conversion.sources import SourceVideo, find_given, name_videos
from surgvista_jax.data.dataset import Video
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.data.storage.open import open_frames
from surgvista_jax.data.storage.video_file import VideoFile
from surgvista_jax.data.storage.video_stream import VideoOptions
from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import near
from surgvista_jax.json_object import read_object
from surgvista_jax.viewer.film import Film, film_of, film_of_file
from surgvista_jax.viewer.operation import Operation
from surgvista_jax.viewer.written_film import film_of_page

SOURCES = "videos.json"  # beside predictions, where each video was
FRAMES = "frames"  # beside predictions, the dataset of frames that `predict` extracts


def files_of_videos(videos: Sequence[str], given: Sequence[Path], folder: Path) -> dict[str, Path]:
    """The video file of each predicted video, of those that a user gives; without those of none.

    Args:
        videos: ids.
        given: video files and folders of them. One file belongs to the one predicted video,
            whatever it is called.
        folder: where the predictions are, whose extracted frames are no videos of their own.

    Raises:
        UserError: nothing is there, or no file is called as any of the videos.
    """
    _, search = find_given(given, skip=folder / FRAMES)
    files = [source for source in name_videos(search.videos, {}) if not source.is_folder]
    if not files:
        raise UserError(f"{given[0]}: no video file")
    if len(videos) == len(files) == 1:
        return {videos[0]: files[0].path}
    found = {}
    for video in videos:
        fitting = [source for source in files if _is_called(source, video)]
        if len(fitting) > 1:
            names = ", ".join(str(source.path) for source in fitting[:2])
            raise UserError(f"{names}: both could be {video}; give the one that is")
        if fitting:
            found[video] = fitting[0].path
    if not found:
        name = files[0].video
        raise UserError(
            f"{files[0].path}: is none of the predicted videos ({', '.join(videos[:3])}"
            f"{', …' if len(videos) > 3 else ''}){near(name, videos)}; name the file as the video"
        )
    return found


def _is_called(source: SourceVideo, video: str) -> bool:
    path = PurePosixPath(source.key)
    last = PurePosixPath(video).name
    return video in (source.video, source.key) or last in (path.name, path.stem)


def written_sources(folder: Path) -> dict[str, Path]:
    """Where the videos were that are predicted in a folder, by their ids; {} where nobody noted it.

    Raises:
        UserError: the note is not as it was written.
    """
    path = folder / SOURCES
    if not path.is_file():
        return {}
    noted = read_object(path)
    if not all(isinstance(place, str) for place in noted.values()):
        raise UserError(f"{path}: is not what `surgvista predict` writes; remove it")
    return {video: folder / place for video, place in noted.items()}


def sources_text(videos: Iterable[tuple[Path, Video]]) -> str:
    """The note that `written_sources` reads, of those videos that are one file each."""
    places = {video.video: (folder / video.source).absolute() for folder, video in videos}
    noted = {video: str(path) for video, path in places.items() if path.is_file()}
    return json.dumps(noted, indent=1) + "\n"


def film_of_video(
    folder: Path, video: Video, operation: Operation, options: VideoOptions | None = None
) -> Film | None:
    """The film of an entry of a dataset's manifest; None where no frame can be read.

    Args:
        options: how a video file is read; None: in the usual way.
    """
    frames = open_frames(folder, video)
    if isinstance(frames, VideoFile):
        return film_of_file(frames.path, operation.duration, options)
    return film_of(frames, operation.frame, operation.fps)


class Films:
    """The film of each operation, from its extracted frames, or else from its video file.

    Where that is gone, or never was, as of a camera: from the page beside the predictions.

    Args:
        folder: where the predictions are, beside which frames may lie.
        files: of videos, by their ids.
    """

    def __init__(self, folder: Path, files: Mapping[str, Path]):
        self.files, self.folder, self.pages = files, folder / FRAMES, folder
        self.frames: dict[str, Video] = {}
        if (self.folder / "dataset.json").is_file():
            dataset = read_dataset(self.folder)
            self.frames = {video.video: video for video in dataset.videos}

    def __call__(self, operation: Operation) -> Film | None:
        """None where there is neither."""
        entry = self.frames.get(operation.video)
        if entry and (film := film_of_video(self.folder, entry, operation)):
            return film
        path = self.files.get(operation.video)
        if path and (film := film_of_file(path, operation.duration)):
            return film
        return film_of_page(self.pages / f"{operation.video}.html", operation.video)
