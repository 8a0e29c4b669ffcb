"""Which options of `predict` mean nothing for what is predicted, and are refused?"""

import argparse
import enum
from collections.abc import Sequence

from surgvista_jax.data.conversion.sources import SourceVideo
from surgvista_jax.errors import UserError
from surgvista_jax.training.unreadable import USUAL_LIMIT


class Way(enum.Enum):
    """What is predicted, in words."""

    CAMERA = "a camera"
    PIPE = "frames on standard input"
    LIVE_FILE = "a file in real time"
    DATASET = "a dataset folder"
    FEATURES = "features that are there already"
    FILES = "video files whose frames are not kept"
    KEPT_FILES = "video files"
    FOLDERS = "folders of frames"


_LIVE = {Way.CAMERA, Way.PIPE, Way.LIVE_FILE}
_DATASET = {Way.DATASET, Way.FEATURES}
_VIDEOS = {Way.FILES, Way.KEPT_FILES, Way.FOLDERS}
_IN_FILES = {Way.LIVE_FILE, Way.FILES, Way.KEPT_FILES}
_BY_LOADER = {Way.DATASET, Way.KEPT_FILES, Way.FOLDERS}
_IN_BATCHES = _BY_LOADER | {Way.FILES}
# Option -> its usual value, and for what it means something.
_OPTIONS: dict[str, tuple[object, set[Way]]] = {
    "split": (None, _DATASET),
    "features": (None, _DATASET),
    "margins": ("keep", _VIDEOS),
    "video": (False, _DATASET | _VIDEOS),
    "keep_frames": (False, _VIDEOS),
    "part": (None, _DATASET | _VIDEOS),
    "clock": (None, _IN_FILES),
    "deinterlace": (None, _IN_FILES),
    "stream": (None, _IN_FILES | _LIVE),
    "frame_size": (None, {Way.PIPE}),
    "frame_rate": (None, {Way.PIPE}),
    "batch_size": (None, _IN_BATCHES),
    "workers": (None, _IN_BATCHES),
    "max_unreadable_share": (USUAL_LIMIT.max_share, _BY_LOADER),
    "check_memory": (True, _IN_BATCHES),
    "dtype": (None, _IN_BATCHES | _LIVE),
}


def way_of(arguments: argparse.Namespace, sources: Sequence[SourceVideo] = ()) -> Way:
    """What kind of VIDEO is predicted; without `sources` a dataset folder."""
    if not sources:
        return Way.DATASET if arguments.features is None else Way.FEATURES
    if all(source.is_folder for source in sources):
        return Way.FOLDERS
    kept = arguments.keep_frames or any(source.is_folder for source in sources)
    return Way.KEPT_FILES if kept else Way.FILES


def refuse_idle(arguments: argparse.Namespace, way: Way) -> None:
    """Raises UserError for the first option that was given and means nothing for `way`.

    Args:
        arguments: of `surgvista predict`.
        way: what is predicted.
    """
    for name, (usual, ways) in _OPTIONS.items():
        if getattr(arguments, name) != usual and way not in ways:
            option = f"--{'no-' if usual is True else ''}{name.replace('_', '-')}"
            raise UserError(f"{option}: means nothing for {way.value}; leave it out")
