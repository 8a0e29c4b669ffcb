"""How do users say how their video files are read?"""

import argparse
from typing import Any

from surgvista_jax.checks import shortened
from surgvista_jax.data.storage.video_stream import CLOCKS, DEINTERLACE
from surgvista_jax.errors import UserError

_KEYS = ("clock", "stream", "deinterlace")


def add_video_options(parser: argparse.ArgumentParser, stream_help: str = "") -> None:
    """Adds the options of reading video files.

    Args:
        stream_help: what else `--stream` may say where no file is given; "": nothing.
    """
    files = parser.add_argument_group("video files")
    files.add_argument(
        "--clock",
        choices=CLOCKS,
        help="where seconds begin if pictures start later than sound: container, with the first "
        "of either, as players count (the usual); picture, with the first picture",
    )
    files.add_argument(
        "--stream",
        type=str if stream_help else int,
        help="number of the stream of pictures, as ffprobe counts (the one with most pixels)"
        + stream_help,
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
    told = {key: getattr(arguments, key) for key in _KEYS}
    if isinstance(arguments.stream, str):
        try:
            told["stream"] = int(arguments.stream)
        except ValueError:
            raise UserError(
                f"--stream {arguments.stream}: streams of a file have numbers; to predict live,"
                " leave VIDEO out"
            ) from None
    if told["stream"] is not None and not 0 <= told["stream"] < 10_000:
        stream = shortened(told["stream"])
        raise UserError(f"--stream {stream}: streams are numbered from 0")
    return {key: value for key, value in told.items() if value is not None}
