"""Which videos does a user list, and how are they read?"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from surgvista_jax.data.conversion.extract import ExtractConfig
from surgvista_jax.data.conversion.sources import Search, find_given
from surgvista_jax.data.conversion.video_options import add_video_options, video_options
from surgvista_jax.data.storage.manifest import DATASET_FILE
from surgvista_jax.data.storage.tfds import is_tfds
from surgvista_jax.errors import UserError


def add_given(parser: argparse.ArgumentParser, live: str = "") -> None:
    """Adds the videos, and how their files are read.

    Args:
        live: what else `--stream` may say where no video is given; "": nothing.
    """
    parser.add_argument(
        "videos",
        nargs="*",
        type=Path,
        metavar="VIDEO",
        help="video files of any kind, folders of them or of frames; or one dataset folder",
    )
    parser.add_argument("--split", help="of a dataset folder: only these videos (default: all)")
    parser.add_argument(
        "--margins", choices=("cut", "keep"), default="keep", help="black margins (%(default)s)"
    )
    add_video_options(parser, live)


def is_dataset(videos: Sequence[Path]) -> bool:
    """Whether what is listed is one dataset folder."""
    first = videos[0]
    return len(videos) == 1 and ((first / DATASET_FILE).is_file() or is_tfds(first))


def found_videos(arguments: argparse.Namespace) -> tuple[Path, Search]:
    """The folder of all listed videos, and these, without what lies in `--out`.

    Raises:
        UserError: there are none; `--split` is given.
    """
    if arguments.split:
        raise UserError("--split: is for a dataset folder")
    folder, search = find_given(arguments.videos, skip=arguments.out)
    if not search.videos:
        reasons = "; ".join(map(str, search.problems[:3]))
        none = f"{arguments.videos[0]}: no video and no folder of images in it"
        raise UserError(reasons or none)
    return folder, search


def reading_at(arguments: argparse.Namespace, fps: float) -> ExtractConfig:
    """How the listed videos are read, so many frames a second."""
    margins = arguments.margins == "cut"
    return ExtractConfig(fps, cut_margins=margins, **video_options(arguments))
