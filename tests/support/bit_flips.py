"""Files of which a bit or a number says something else than it did."""

import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np


def flip_bit(file: Path, bit: int) -> None:
    """Flips one bit of a file, counted from its beginning."""
    data = bytearray(file.read_bytes())
    data[bit // 8] ^= 1 << bit % 8
    file.write_bytes(data)


def say_packed(file: Path, method: int) -> None:
    """Has the first member of a zip archive say that it is packed by another method."""
    with zipfile.ZipFile(file) as archive:
        directory = archive.start_dir
    data = bytearray(file.read_bytes())
    data[8] = data[directory + 10] = method
    file.write_bytes(data)


def flipped(whole: Path, pattern: str, copy: Path, each: int) -> Iterator[tuple[Path, str]]:
    """Copies of a folder, in each of which one file has one flipped bit; drawn with a seed.

    Args:
        whole: the folder.
        pattern: which of its files are damaged.
        copy: where the copies come, one after the other.
        each: how often each file is.

    Yields:
        The copy, and which bit of which file is flipped.
    """
    rng = np.random.default_rng(0)
    files = [file for file in sorted(whole.glob(pattern)) if file.is_file()]
    for file in (file for file in files if file.stat().st_size):
        for bit in rng.integers(8 * file.stat().st_size, size=each):
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(whole, copy)
            flip_bit(copy / file.relative_to(whole), int(bit))
            yield copy, f"{file.relative_to(whole)}, bit {bit}"
