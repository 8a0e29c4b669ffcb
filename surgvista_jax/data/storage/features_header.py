"""`features.json`: whose features a folder holds, with a CRC-32 of what it says."""

import dataclasses
import json
import typing
import zlib
from pathlib import Path

from surgvista_jax.errors import UserError
from surgvista_jax.json_object import read_object
from surgvista_jax.writing import write_json

HEADER_FILE = "features.json"
_CHECKSUM = "crc32"  # of the other keys; earlier versions wrote none


@dataclasses.dataclass(frozen=True)
class FeaturesHeader:
    """`features.json`.

    Attributes:
        dataset: name of the dataset.
        fps: the dataset's frames a second.
        model: what computed the features, in words.
        weights: which weights it had: the SHA-256 (hex) of their names, shapes and values.
        width: F, values a frame.
        clip_frames, clip_stride: the clip that ends at a frame and gives its row; 1 and 1 for an
            image model.
        size: height and width that frames were resized to.
        source: where the weights lay then, `[NAME:]PATH[#KEY]`; "": not said. The features are the
            same wherever they lie.
    """

    dataset: str
    fps: float
    model: str
    weights: str
    width: int
    clip_frames: int
    clip_stride: int
    size: int
    source: str = ""

    @property
    def decisive(self) -> dict[str, str | int | float]:
        """All but where the weights lay, by which no feature is another."""
        return {k: v for k, v in dataclasses.asdict(self).items() if k != "source"}

    def differences(self, other: "FeaturesHeader") -> list[str]:
        """What makes these other features than the other header's, in words; [] where nothing."""
        theirs = other.decisive
        return [
            f"{key} was {mine!r}, is {theirs[key]!r}"
            for key, mine in self.decisive.items()
            if mine != theirs[key]
        ]


def write_header(folder: Path, header: FeaturesHeader) -> None:
    """Writes it into a folder. Raises UserError where that cannot be written."""
    write_json(
        folder / HEADER_FILE, {**dataclasses.asdict(header), _CHECKSUM: _checksum_of(header)}
    )


def read_header(folder: Path) -> FeaturesHeader:
    """What a folder says of its features. Raises UserError where it says nothing, or is damaged."""
    path = folder / HEADER_FILE
    if not path.exists():
        raise UserError(f"{path}: missing; `surgvista features` writes it")
    entry = read_object(path)
    noted = entry.pop(_CHECKSUM, None)
    entry.setdefault("source", "")
    kinds = typing.get_type_hints(FeaturesHeader)
    if entry.keys() != kinds.keys():
        raise UserError(f"{path}: must be a JSON object with the keys {', '.join(kinds)}")
    for key, kind in kinds.items():
        value = entry[key]
        if kind is float and type(value) is int and abs(value) < 2**53:
            value = float(value)
        if type(value) is not kind or (kind is not str and not value > 0):
            wanted = {str: "text", int: "a whole number above 0", float: "a number above 0"}
            raise UserError(f"{path}: {key!r} must be {wanted[kind]}, found {entry[key]!r}")
    header = FeaturesHeader(**{**entry, "fps": float(entry["fps"])})
    if noted is not None and noted != _checksum_of(header):
        raise UserError(
            f"{path}: damaged, or changed since it was written; take another copy of it, or drop"
            f" its key {_CHECKSUM!r} if you changed it on purpose"
        )
    return header


def _checksum_of(header: FeaturesHeader) -> str:
    values = {**dataclasses.asdict(header), "fps": float(header.fps)}
    if not header.source:  # which earlier versions did not write
        del values["source"]
    return f"{zlib.crc32(json.dumps(values, sort_keys=True).encode()):08x}"
