"""An operation as the JSON that its page holds, which `operation.js` reads."""

import base64
import json
import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from surgvista_jax.figures.palette import look
from surgvista_jax.viewer.film import MOST_BYTES as MOST_FILM
from surgvista_jax.viewer.film import Film
from surgvista_jax.viewer.lanes import Classes, Curve, Lane, Pictures
from surgvista_jax.viewer.operation import Operation, Said, runs

# Of all the probabilities of a page; those of more moments are kept of every second, third, ...
MOST_BYTES = 1_200_000
# Bytes of all pictures of lanes beside a film of the largest size; what a smaller one leaves may be
# theirs. Of more, every second, third, ... picture is kept.
MOST_PICTURED = 380_000


def page_data(operation: Operation, film: Film | None, media: dict | None = None) -> dict[str, Any]:
    """What a page shows, as plain JSON values.

    Args:
        film: None where no frame is to be seen.
        media: {"url", "name"} of the video where a server has it; {"name", "missing": words} where
            it should and has not.
    """
    spoken = [said for said in (operation.said, operation.other) if said is not None]
    total = sum(said.probability.size for said in spoken if said.probability is not None)
    every = max(1, math.ceil(total / MOST_BYTES))
    frame = operation.frame
    return {
        "video": operation.video,
        "task": operation.task,
        "fps": operation.fps,
        "classes": list(operation.classes),
        "looks": [vars(look(k)) for k in range(len(operation.classes))],
        "first": int(frame[0]),
        "steps": [[value, count] for value, _, count in runs(np.diff(frame))],
        "said": _said(operation.said, every),
        "truth": operation.truth and _said(operation.truth, 1),
        "other": operation.other and _said(operation.other, every),
        "reliability": [list(row) for row in operation.reliability],
        "lanes": [_lane(lane) for lane in _thinned(operation.lanes, _room(film))],
        "film": film and {"seconds": list(film.seconds), "images": [*map(_text, film.images)]},
        "media": media,
        "notes": list(operation.notes),
        "damage": list(operation.damage),
    }


def _said(said: Said, every: int) -> dict[str, Any]:
    probability = said.probability
    return {
        "name": said.name,
        "label": [[value, count] for value, _, count in runs(said.label)],
        "known": [[int(value), count] for value, _, count in runs(said.known)],
        "held": None if said.held is None else _text(np.packbits(said.held).tobytes()),
        "every": every,
        "probability": None if probability is None else _text(probability[::every].tobytes()),
    }


def _room(film: Film | None) -> int:
    """Bytes that the pictures of lanes may have."""
    return MOST_PICTURED + max(0, MOST_FILM - sum(map(len, film.images if film else ())))


def _thinned(lanes: Sequence[Lane], room: int) -> list[Lane]:
    """Lanes whose pictures together are small enough."""
    every, thinned = 1, list(lanes)
    while _pictured(thinned) > room and every < room:
        every += 1
        thinned = [
            replace(lane, seconds=lane.seconds[::every], images=lane.images[::every])
            if isinstance(lane, Pictures)
            else lane
            for lane in lanes
        ]
    return thinned


def _pictured(lanes: Sequence[Lane]) -> int:
    return sum(len(image) for lane in lanes if isinstance(lane, Pictures) for image in lane.images)


def _lane(lane: Lane) -> dict[str, Any]:
    about: dict[str, Any] = {"title": lane.title, "note": lane.note}
    if isinstance(lane, Classes):
        looks = [vars(look(k)) for k in range(len(lane.names))]
        return {**about, "names": lane.names, "stretches": lane.stretches, "looks": looks}
    about["seconds"] = np.asarray(lane.seconds).tolist()
    if isinstance(lane, Curve):
        return {**about, "values": np.asarray(lane.values, np.float64).round(4).tolist()}
    return {**about, "images": [*map(_text, lane.images)]}


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def in_script(data: dict[str, Any]) -> str:
    """JSON that may stand inside a `<script>` element, whatever texts are in it."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
