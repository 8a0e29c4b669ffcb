"""NumPy's archives (.npz): what their members claim to be, before any of them is read."""

import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Collection
from pathlib import Path

import numpy as np

from surgvista_jax.host_memory import free_memory

# What NumPy and zipfile raise for damaged, encrypted and absurdly large files.
UNREADABLE = (
    ValueError,
    OSError,
    EOFError,
    KeyError,
    RuntimeError,
    MemoryError,
    SyntaxError,
    OverflowError,
    TypeError,
    tokenize.TokenError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
)
_MOST_DEFLATED = 1_100  # bytes that a byte of a deflated stream can stand for: at most 1032


def member_header(archive: zipfile.ZipFile, member: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of a member, of which it must have the bytes; nothing else is read.

    Raises:
        ValueError: it holds Python objects, or other bytes than it says.
    """
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        reader = {(1, 0): np.lib.format.read_array_header_1_0}.get(
            version, np.lib.format.read_array_header_2_0
        )
        try:
            shape, _, dtype = reader(stream)
        except (SyntaxError, tokenize.TokenError) as error:  # NumPy reads a header as Python
            raise ValueError(f"{member} has no header of an array ({error})") from None
        begin = stream.tell()
    if dtype.hasobject:
        raise ValueError(f"{member} holds Python objects, which are not read")
    told, info = begin + math.prod(shape) * dtype.itemsize, archive.getinfo(member)
    if told != info.file_size or info.file_size > _MOST_DEFLATED * max(info.compress_size, 64):
        raise ValueError(f"{member} says that it is {list(shape)}, and holds other bytes")
    return shape, dtype


def check_members(file: Path, names: Collection[str]) -> None:
    """Refuses an archive whose members of these names are no arrays, or do not fit into memory.

    Raises:
        ValueError, OSError, zipfile.BadZipFile and what NumPy raises for headers: what is wrong.
    """
    total = 0
    with zipfile.ZipFile(file) as archive:
        for name in {f"{name}.npy" for name in names} & set(archive.namelist()):
            member_header(archive, name)
            total += archive.getinfo(name).file_size
    free = free_memory()
    if free is not None and total > free:
        raise ValueError(
            f"its arrays take {total / 2**30:,.1f} GiB, of which {free / 2**30:,.1f} GiB are free"
        )
