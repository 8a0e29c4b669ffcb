"""Files of PyTorch's, opened: nothing in them is executed, and tensors stay on the disk."""

import ctypes
import mmap
import os
import pickle
import re
import struct
import sys
import warnings
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.weights.files.pickled import STAND_INS, NumpyArray, stand_in
from surgvista_jax.weights.files.stored import Stored, as_tree, damaged, held

_PIECE = 1 << 20  # bytes that are read at a time
# What torch, pickle and zipfile raise for damaged bytes; RuntimeError and ValueError include those
# for unknown compressions and for text that cannot be decoded.
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError),
    *(KeyError, IndexError, TypeError, AttributeError, AssertionError, OverflowError, MemoryError),
)


def open_torch(path: Path) -> dict:
    """The tree of a file, with `Stored` for its tensors.

    Raises:
        UserError: torch is missing; the file is damaged, a program or asks to execute code.
    """
    try:
        import torch
    except ImportError:
        raise UserError(
            f"{path}: reading this needs PyTorch: pip install torch, or save it"
            " as .safetensors where there is one"
        ) from None
    try:
        # Nothing in the file is executed; mmap reads tensors only when they are touched.
        zipped = zipfile.is_zipfile(path)
        mapped = zipped and _is_of_this_byte_order(path)
        if zipped:
            _check_sums(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old forms, which either load or do not
            tree = _load(torch, path, zipped)
    except pickle.UnpicklingError as error:
        if "weights_only" not in str(error) and "Unsupported" not in str(error):
            raise damaged(path, error) from error
        raise UserError(
            f"{path}: refused: the file asks to execute code ({_asked_for(error)}); only files of"
            " plain tensors are read: save the model's state_dict alone"
        ) from error
    except _DAMAGED as error:
        if "TorchScript" in str(error):
            raise UserError(f"{path}: a TorchScript archive: save its state_dict") from error
        raise damaged(path, error) from error

    def stored(value: Any, name: str) -> Any:
        if isinstance(value, NumpyArray):
            array = value.array()
            return value if array is None else held(array)
        if not isinstance(value, torch.Tensor):
            return value
        dtype = str(value.dtype).removeprefix("torch.")
        half = value.dtype in (torch.bfloat16, torch.float16)

        def read() -> np.ndarray:
            try:
                array = (value.float() if half else value).detach().numpy()
            except (RuntimeError, TypeError) as error:
                told = f"{path}: {name or 'its tensor'} is of type {_type_of(value)}"
                raise UserError(f"{told}, which is not read") from error
            if not mapped:
                return array
            array = array.copy()
            storage = value.untyped_storage()
            _leave_on_disk(storage.data_ptr(), storage.nbytes())
            return array

        return Stored(tuple(value.shape), dtype, read)

    return as_tree(tree, stored, path)


def _load(torch: Any, path: Path, zipped: bool) -> Any:
    """What a file holds, with stand-ins for everything but tensors and plain values."""
    stand_ins = dict(STAND_INS)
    while True:
        try:
            with torch.serialization.safe_globals([(to, name) for name, to in stand_ins.items()]):
                return torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
        except pickle.UnpicklingError as error:
            name = _asked_for(error)
            found = None if name in stand_ins else stand_in(name)
            if found is None:
                raise
            stand_ins[name] = found  # each round meets another name: it ends


def _is_of_this_byte_order(path: Path) -> bool:
    """Whether torch takes the numbers of its file as they are, and swaps no bytes in memory."""
    with zipfile.ZipFile(path) as archive:
        if any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist()):
            raise ValueError("its members are compressed, as PyTorch never writes them")
        members = [name for name in archive.namelist() if name.endswith("/byteorder")]
        return all(archive.read(name) == sys.byteorder.encode() for name in members)


def _check_sums(path: Path) -> None:
    """Reads all members of an archive, which PyTorch itself does not compare with their CRC-32.

    An archive of which none fits was written without them (`set_crc32_options(False)`).

    Raises:
        zipfile.BadZipFile: some fit, and one does not.
    """
    fitting, wrong = 0, None
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            try:
                with archive.open(member) as stream:
                    while stream.read(_PIECE):
                        pass
                fitting += member.file_size > 0
            except zipfile.BadZipFile as error:
                wrong = wrong or error
    if wrong is not None and fitting:
        raise wrong


def _leave_on_disk(address: int, size: int) -> None:
    """Releases memory that only mirrors a file; reading it again reads the file again."""
    advise = getattr(ctypes.CDLL(None), "madvise", None) if os.name == "posix" else None
    first = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
    length = (address + size) // mmap.PAGESIZE * mmap.PAGESIZE - first
    if advise is not None and length > 0:
        advise(ctypes.c_void_p(first), ctypes.c_size_t(length), mmap.MADV_DONTNEED)


def _type_of(tensor: Any) -> str:
    """A tensor that NumPy has no form for: its numbers, and what is unusual about it."""
    words = [str(tensor.dtype), *([] if "strided" in str(tensor.layout) else [str(tensor.layout)])]
    words += ["meta"] if tensor.is_meta else []
    words += ["conjugated"] if tensor.is_conj() else []
    words += ["negated"] if tensor.is_neg() else []
    return " ".join(word.removeprefix("torch.") for word in words)


def _asked_for(error: Exception) -> str:
    """Which function a refused file wanted to call."""
    found = re.search(r"GLOBAL [`']?([\w.]+)", str(error))
    return found[1].strip(".") if found else "an object that is not a tensor"
