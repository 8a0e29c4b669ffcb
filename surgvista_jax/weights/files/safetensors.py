"""Files of safetensors, opened: the header is checked, numbers stay on the disk."""

import math
from pathlib import Path

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.json_object import parse
from surgvista_jax.weights.files.checksums import ADVICE, checksum, without_checksums
from surgvista_jax.weights.files.stored import Stored, damaged, single

# Types of numbers in a header -> NumPy's.
_TYPES = {
    "F64": "f8",
    "F32": "f4",
    "F16": "f2",
    "BF16": "u2",
    "I64": "i8",
    "I32": "i4",
    "I16": "i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}


def open_safetensors(path: Path) -> tuple[dict[str, Stored], dict[str, str]]:
    """Arrays by name, and what the header says besides.

    What a file of ours carries checksums of is compared with them when it is read.

    Raises:
        UserError: the file is damaged, or holds a type of numbers that is not read.
    """
    from safetensors import SafetensorError, safe_open

    try:
        # It checks the header against the file's length. The numbers are read without it: what it
        # maps would stay in memory beside what is made of it.
        with safe_open(path, framework="numpy") as checked:
            metadata = checked.metadata() or {}
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = parse(file.read(length).decode())
        metadata, sums = without_checksums(metadata, header.keys() - {"__metadata__"})
    except (SafetensorError, ValueError) as error:
        raise damaged(path, error) from error
    arrays = {}
    for name, part in header.items():
        if name == "__metadata__":
            continue
        shape, dtype = tuple(part["shape"]), part["dtype"]
        if dtype not in _TYPES:
            raise UserError(f"{path}: {name} is of type {dtype}, which is not read")
        start = 8 + length + part["data_offsets"][0]

        def read(
            name: str = name, dtype: str = dtype, shape: tuple = shape, start: int = start
        ) -> np.ndarray:
            flat = np.fromfile(path, f"<{_TYPES[dtype]}", math.prod(shape), offset=start)
            if name in sums and checksum(flat, shape) != sums[name]:
                told = f"{name} holds other numbers than were written; {ADVICE}"
                raise damaged(path, ValueError(told))
            if dtype == "BF16":  # the upper half of a float32
                flat = (flat.astype(np.uint32) << 16).view(np.float32)
            return single(flat.reshape(shape))

        words = "bfloat16" if dtype == "BF16" else np.dtype(_TYPES[dtype]).name
        arrays[name] = Stored(shape, words, read)
    return arrays, metadata
