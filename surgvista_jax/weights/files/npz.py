"""Archives of NumPy's, opened: names and shapes at once, numbers when asked for."""

import contextlib
import lzma
import struct
import tokenize
import zipfile
import zlib
from pathlib import Path

import numpy as np

from surgvista_jax.archives import member_header
from surgvista_jax.json_object import parse
from surgvista_jax.weights.files.stored import Stored, damaged, single

METADATA = "__metadata__"  # the member that holds what a safetensors header would
# What zipfile, its decompressors and NumPy raise for damaged bytes; RuntimeError includes that for
# unknown compressions.
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError),
    *(ValueError, TypeError, SyntaxError, tokenize.TokenError, OverflowError),
    RuntimeError,
)
_LONGEST_METADATA = 2**26  # bytes


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
            shape, dtype = member_header(archive, member)

            def read(member: str = member) -> np.ndarray:
                try:
                    with archive.open(member) as stream:
                        return single(np.lib.format.read_array(stream, allow_pickle=False))
                except _DAMAGED as error:
                    raise damaged(path, error) from error

            arrays[name] = Stored(shape, dtype.name, read)
        metadata = {}
        if METADATA in arrays:
            if archive.getinfo(f"{METADATA}.npy").file_size > _LONGEST_METADATA:
                raise ValueError(f"{METADATA} is longer than {_LONGEST_METADATA:,} bytes")
            metadata = parse(str(arrays.pop(METADATA).read()))
            if not isinstance(metadata, dict) or not all(
                isinstance(value, str) for value in metadata.values()
            ):
                raise ValueError(f"{METADATA} should be a JSON object of strings")
    except _DAMAGED as error:
        raise damaged(path, error) from error
    return arrays, metadata
