"""Checksums that a file of ours carries: are its arrays and its header as they were written?"""

import json
import zlib
from collections.abc import Mapping

import numpy as np

from surgvista_jax.json_object import parse

KEY = "checksums"  # in the header of a safetensors file
# What whoever rewrote the file on purpose has to do.
ADVICE = f"if another program changed it on purpose, drop the key '{KEY}' from its metadata"
_HEADER = ""  # stands for the header's other entries; no array has this name


def with_checksums(arrays: Mapping[str, np.ndarray], metadata: Mapping[str, str]) -> dict[str, str]:
    """A header's entries, and in one more the CRC-32 of them and of each array."""
    sums = {name: checksum(array, array.shape) for name, array in arrays.items()}
    return {**metadata, KEY: json.dumps({_HEADER: _of_header(metadata), **sums})}


def checksum(numbers: np.ndarray, shape: tuple[int, ...]) -> str:
    """The CRC-32 of an array as it lies in the file, and of its shape, in hex."""
    start = zlib.crc32(repr(tuple(shape)).encode())
    flat = np.ascontiguousarray(numbers).reshape(-1).view(np.uint8)
    return f"{zlib.crc32(flat.data, start):08x}"


def without_checksums(
    metadata: Mapping[str, str], names: set[str]
) -> tuple[dict[str, str], dict[str, str]]:
    """A header's other entries, and name -> checksum of each array; {} where it has none.

    Args:
        metadata: all entries.
        names: of the arrays in the file.

    Raises:
        ValueError: the entries or the names are not those that were written.
    """
    rest = {key: value for key, value in metadata.items() if key != KEY}
    if KEY not in metadata:
        return rest, {}
    sums = parse(metadata[KEY])
    if not isinstance(sums, dict) or sums.pop(_HEADER, None) != _of_header(rest):
        raise ValueError(f"its header is not what was written; {ADVICE}")
    if different := sums.keys() ^ names:
        name = min(different)
        raise ValueError(f"{name!r}: its arrays have other names than were written; {ADVICE}")
    return rest, sums


def _of_header(metadata: Mapping[str, str]) -> str:
    return f"{zlib.crc32(json.dumps(dict(metadata), sort_keys=True).encode()):08x}"
