"""The film in a page that was written before: of a video that was moved, or of a stream."""

import base64
import contextlib
import itertools
import json
import math
import re
from pathlib import Path

from surgvista_jax.viewer.film import Film

_DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.DOTALL)


def film_of_page(path: Path, video: str) -> Film | None:
    """The small frames that a page carries; None where it is no page of that video, or has none."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        found = _DATA.search(path.read_text(encoding="utf-8"))
        data = json.loads(found[1]) if found else {}
        film = data["film"]
        seconds = tuple(map(float, film["seconds"]))
        images = tuple(base64.b64decode(image, validate=True) for image in film["images"])
        ordered = all(one < next_one for one, next_one in itertools.pairwise(seconds))
        finite = all(map(math.isfinite, seconds))
        if data["video"] == video and ordered and finite and 0 < len(seconds) == len(images):
            return Film(seconds, images)
    return None
