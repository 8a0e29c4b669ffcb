"""What a writer that was killed leaves in a folder: a file half written, beside its place."""

import contextlib
import shutil
from pathlib import Path

from surgvista_jax.writing import replacing


class _Killed(Exception):
    pass


def leave_half_written(place: Path, end: str = "abcdefgh") -> Path:
    """Leaves the folder of a file that was to become `place`; `end` ends the folder's name."""
    with contextlib.suppress(_Killed), replacing(place) as aside:
        aside.write_text("half")
        left = aside.parent.with_name(f".partial-{end}")
        shutil.copytree(aside.parent, left)
        raise _Killed
    return left
