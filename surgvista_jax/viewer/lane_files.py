"""Lanes of pictures of one video as a file, which one command writes and `surgvista view` reads."""

import base64
import binascii
import json
import math
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.json_object import read_object
from surgvista_jax.viewer.lanes import Pictures

SUFFIX = ".json"


def lanes_text(video: str, lanes: Sequence[Pictures]) -> str:
    """The content of a file of lanes.

    Args:
        video: the name of the video's file.
    """
    told = [
        {
            "title": lane.title,
            "note": lane.note,
            "seconds": np.asarray(lane.seconds).tolist(),
            "images": [base64.b64encode(image).decode("ascii") for image in lane.images],
        }
        for lane in lanes
    ]
    return json.dumps({"video": video, "lanes": told}, ensure_ascii=False) + "\n"


def read_lanes(path: Path, videos: Sequence[str]) -> tuple[str, tuple[Pictures, ...]]:
    """The lanes of a file, and which of the predicted videos they are of.

    Args:
        videos: ids.

    Raises:
        UserError: it cannot be read, is no file of lanes, or of none of the videos.
    """
    held = read_object(path)
    name, told = held.get("video"), held.get("lanes")
    if not isinstance(name, str) or not isinstance(told, list):
        raise UserError(f"{path}: is not what `surgvista figure tokens --out=FILE.json` writes")
    lanes = tuple(_lane(path, number, lane) for number, lane in enumerate(told, 1))
    called = {name, PurePath(name).stem}
    fitting = [video for video in videos if {video, PurePath(video).name} & called]
    if len(fitting) != 1:
        given = "several" if fitting else "none"
        raise UserError(
            f"{path}: is of the video {name}, as {given} of the predicted videos are called"
            f" ({', '.join(videos[:3])}{', …' if len(videos) > 3 else ''})"
        )
    return fitting[0], lanes


def _lane(path: Path, number: int, told: Any) -> Pictures:
    where = f"{path}, lane {number}"
    told = told if isinstance(told, dict) else {}
    title, note = told.get("title"), told.get("note", "")
    seconds, images = told.get("seconds"), told.get("images")
    if not isinstance(title, str) or not isinstance(note, str):
        raise UserError(f"{where}: `title` and `note` should be texts")
    if not isinstance(seconds, list) or not all(map(_is_second, seconds)):
        raise UserError(f"{where}: `seconds` should be numbers from 0 on")
    if seconds != sorted(seconds):
        raise UserError(f"{where}: `seconds` should ascend")
    if not isinstance(images, list) or not all(isinstance(image, str) for image in images):
        raise UserError(f"{where}: `images` should be texts, the base64 of JPEG or PNG files")
    try:
        decoded = tuple(base64.b64decode(image, validate=True) for image in images)
        return Pictures(title, np.array(seconds, float), decoded, note)
    except (binascii.Error, ValueError) as error:
        raise UserError(f"{where}: {error}") from None


def _is_second(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value >= 0
