"""Archives of NumPy's, opened: names and shapes at once, numbers when asked for."""

import contextlib
import json
import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from surgvista_jax.weights.files.stored import Stored, damaged, single

METADATA = "__metadata__"  # the member that holds what a safetensors header would
# What zipfile, its decompressors and NumPy raise for damaged bytes.
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError),
    *(ValueError, TypeError, SyntaxError, tokenize.TokenError, OverflowError),
    *(NotImplementedError, RuntimeError),
)
_MOST_DEFLATED = 1_100  # bytes that a byte of a deflated stream can stand for: at most 1032


def open_npz(path: Path, stack: contextlib.ExitStack) -> tuple[dict[str, Stored], dict[str, str]]:
    """Arrays by name, and what the member `METADATA` says; `stack` keeps the archive open.

    Raises:
        UserError: the file is damaged, or holds Python objects.
    """
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
        arrays = {}
        for member in archive.namelist():
            name = member.removesuffix(".npy")
            if name in arrays:
                raise ValueError(f"it holds {name} twice")
            shape, dtype = _npy_header(archive, member)

            def read(member: str = member) -> np.ndarray:
                try:
                    with archive.open(member) as stream:
                        return single(np.lib.format.read_array(stream, allow_pickle=False))
                except _DAMAGED as error:
                    raise damaged(path, error) from error

            arrays[name] = Stored(shape, dtype.name, read)
        metadata = {}
        if METADATA in arrays:
            metadata = json.loads(str(arrays.pop(METADATA).read()))
            if not isinstance(metadata, dict) or not all(
                isinstance(value, str) for value in metadata.values()
            ):
                raise ValueError(f"{METADATA} should be a JSON object of strings")
    except _DAMAGED as error:
        raise damaged(path, error) from error
    return arrays, metadata


def _npy_header(archive: zipfile.ZipFile, member: str) -> tuple[tuple[int, ...], np.dtype]:
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        reader = {(1, 0): np.lib.format.read_array_header_1_0}.get(
            version, np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = reader(stream)
        begin = stream.tell()
    if dtype.hasobject:
        raise ValueError(f"{member} holds Python objects, which are not read")
    told, info = begin + math.prod(shape) * dtype.itemsize, archive.getinfo(member)
    if told != info.file_size or info.file_size > _MOST_DEFLATED * max(info.compress_size, 64):
        raise ValueError(f"{member} says that it is {list(shape)}, and holds other bytes")
    return shape, dtype
