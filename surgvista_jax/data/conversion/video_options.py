"""How do users say how their video files are read?"""

import argparse
from typing import Any

from surgvista_jax.checks import shortened
from surgvista_jax.data.storage.video_stream import CLOCKS, DEINTERLACE
from surgvista_jax.errors import UserError

_KEYS = ("clock", "stream", "deinterlace")


def add_video_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of reading video files."""
    files = parser.add_argument_group("video files")
    files.add_argument(
        "--clock",
        choices=CLOCKS,
        help="where seconds begin if pictures start later than sound: container, with the first "
        "of either, as players count (the usual); picture, with the first picture",
    )
    files.add_argument(
        "--stream",
        type=int,
        help="number of the stream of pictures, as ffprobe counts (the one with most pixels)",
    )
    files.add_argument(
        "--deinterlace",
        choices=DEINTERLACE,
        help="auto: kept pictures that say that they are interlaced (the usual); off: none",
    )


def video_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was said, as fields of `ExtractConfig`.

    Raises:
        UserError: no stream has such a number.
    """
    if arguments.stream is not None and not 0 <= arguments.stream < 10_000:
        stream = shortened(arguments.stream)
        raise UserError(f"--stream {stream}: streams are numbered from 0")
    told = {key: getattr(arguments, key) for key in _KEYS}
    return {key: value for key, value in told.items() if value is not None}
