"""What a part keeps of one of its items until the merge: arrays, and what is said of them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from surgvista_jax.json_object import parse
from surgvista_jax.writing import replacing

_ABOUT = "about"
PATTERN = "*.npz"  # of the files in the folder of a part


def kept_path(folder: Path, number: int) -> Path:
    """The file of an item in the folder of its part, by its number among all items."""
    return folder / f"{number:06d}.npz"


def write_kept(path: Path, about: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Writes a file whole. Raises CannotWrite."""
    content: dict[str, Any] = {**arrays, _ABOUT: np.array(json.dumps(about))}
    with replacing(path) as aside, open(aside, "wb") as file:
        np.savez(file, **content)


def read_kept(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is said of the arrays, and the arrays.

    Raises:
        archives.UNREADABLE: it is not there, or damaged.
    """
    with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
        arrays = {key: file[key] for key in file.files if key != _ABOUT}
        return parse(str(file[_ABOUT])), arrays
