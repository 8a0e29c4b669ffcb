"""What is left in a folder of the parts that are merged, and how it is taken away."""

import contextlib
import os
from collections.abc import Sequence
from pathlib import Path

from surgvista_jax.json_object import read_object
from surgvista_jax.parts.plan_file import PLAN, place_of
from surgvista_jax.writing import clear_asides, writing_to

MERGING, MERGED = "merging.json", "merged.json"


def begun_in(out: Path, commands: Sequence[str]) -> list[str]:
    """Those of the commands of which a folder has parts, or what is left of merged ones."""
    return [
        command
        for command in commands
        if any((place_of(out, command) / name).exists() for name in (PLAN, MERGED))
    ]


def sweep(out: Path, command: str) -> None:
    """Removes what is left of merged parts; files that are none of ours stay."""
    place = place_of(out, command)
    if not (place / MERGED).exists():
        return
    own = read_object(place / MERGED)["own"]
    with writing_to(place):
        for folder in (path for path in place.glob("*") if path.is_dir() and path.name.isdecimal()):
            for below, _, _ in os.walk(folder):
                clear_asides(Path(below))
            for pattern in own:
                for path in folder.glob(pattern):
                    path.unlink()
            for below, _, _ in os.walk(folder, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(below)
        clear_asides(place)
        for path in place.glob("*.json"):
            if path.stem.isdecimal():
                path.unlink()
        (place / MERGING).unlink(missing_ok=True)
        (place / MERGED).unlink(missing_ok=True)
        for folder in (place, place.parent):
            with contextlib.suppress(OSError):
                folder.rmdir()
