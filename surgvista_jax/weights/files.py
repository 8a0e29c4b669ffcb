"""What lies in a file of weights?  Names, shapes and types at once, numbers when asked for."""

import argparse
import contextlib
import ctypes
import dataclasses
import hashlib
import json
import math
import mmap
import os
import pickle
import sys
import warnings
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from surgvista_jax.errors import UserError

TORCH = (".pth", ".pt", ".bin", ".torch", ".pkl", ".tar")
SUFFIXES = (".safetensors", ".npz", *TORCH)
METADATA = "__metadata__"  # the member of an .npz that holds what a safetensors header would
# Types of numbers in a safetensors header -> NumPy's.
_SAFETENSORS = {
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
# Keys under which programs put the weights beside optimiser states and arguments; the second line
# is VISSL's.
NESTED = (
    *("model", "module", "state_dict", "model_state"),
    *("classy_state_dict", "base_model", "trunk"),
)


@dataclasses.dataclass(frozen=True)
class Stored:
    """One array of a file.

    Attributes:
        shape: its sizes.
        dtype: its type in words, such as "float32".
        read: reads it; half precisions come as float32.
    """

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], np.ndarray]


@dataclasses.dataclass(frozen=True)
class SourceFile:
    """An open file of weights.

    Attributes:
        path: where it lies.
        arrays: name -> array.
        digest: sha256 of the file's bytes, in hex.
        nested: keys that were descended into, such as ("model",).
        metadata: what a safetensors header says besides.
        other: names of what is no array.
    """

    path: Path
    arrays: Mapping[str, Stored]
    digest: str
    nested: tuple[str, ...] = ()
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
    other: tuple[str, ...] = ()

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: stored.shape for name, stored in self.arrays.items()}


@contextlib.contextmanager
def open_file(path: str | Path) -> Iterator[SourceFile]:
    """Opens a file of weights of any of `SUFFIXES`; its arrays can be read within the context.

    Raises:
        UserError: there is no such file; it is truncated or damaged; it asks to execute code; its
            form is unknown; torch is needed and missing.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: there is no such file")
    if path.suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise UserError(f"{path}: files of weights end in {known}, not in {path.suffix!r}")
    with contextlib.ExitStack() as stack:
        try:
            if path.suffix == ".safetensors":
                found, metadata = _open_safetensors(path)
            elif path.suffix == ".npz":
                found, metadata = _open_npz(path, stack)
            else:
                found, metadata = _open_torch(path), {}
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
        arrays, nested, other = _descend(found)
        if not arrays:
            holds = ", ".join(other[:8]) or "nothing"
            raise UserError(f"{path}: holds no arrays, but {holds}")
        yield SourceFile(path, arrays, digest(path), nested, metadata, other)


def in_memory(arrays: Mapping[str, np.ndarray], path: str = "memory") -> SourceFile:
    """Arrays at hand, as if a file of that name had held them."""
    stored = {
        name: Stored(array.shape, array.dtype.name, lambda array=array: array)
        for name, array in arrays.items()
    }
    return SourceFile(Path(path), stored, "")


def digest(path: str | Path) -> str:
    """sha256 of a file's bytes, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damaged(path: Path, error: Exception) -> UserError:
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return UserError(f"{path}: truncated or damaged, cannot be read ({reason[:200]})")


def _open_safetensors(path: Path) -> tuple[dict, dict]:
    from safetensors import SafetensorError, safe_open

    try:
        # It checks the header against the file's length. The numbers are read without it: what it
        # maps would stay in memory beside what is made of it.
        with safe_open(path, framework="numpy") as checked:
            metadata = checked.metadata() or {}
        with open(path, "rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(length))
    except (SafetensorError, ValueError) as error:
        raise _damaged(path, error) from error
    arrays = {}
    for name, part in header.items():
        if name == "__metadata__":
            continue
        shape, dtype = tuple(part["shape"]), part["dtype"]
        if dtype not in _SAFETENSORS:
            raise UserError(f"{path}: {name} is of type {dtype}, which is not read")
        start = 8 + length + part["data_offsets"][0]

        def read(dtype: str = dtype, shape: tuple = shape, start: int = start) -> np.ndarray:
            flat = np.fromfile(path, f"<{_SAFETENSORS[dtype]}", math.prod(shape), offset=start)
            if dtype == "BF16":  # the upper half of a float32
                flat = (flat.astype(np.uint32) << 16).view(np.float32)
            return _single(flat.reshape(shape))

        words = "bfloat16" if dtype == "BF16" else np.dtype(_SAFETENSORS[dtype]).name
        arrays[name] = Stored(shape, words, read)
    return arrays, metadata


def _open_npz(path: Path, stack: contextlib.ExitStack) -> tuple[dict, dict]:
    try:
        archive = stack.enter_context(zipfile.ZipFile(path))
        arrays = {}
        for member in archive.namelist():
            name = member.removesuffix(".npy")
            shape, dtype = _npy_header(archive, member)

            def read(member: str = member) -> np.ndarray:
                try:
                    with archive.open(member) as stream:
                        return _single(np.lib.format.read_array(stream, allow_pickle=False))
                except (zipfile.BadZipFile, ValueError, EOFError) as error:
                    raise _damaged(path, error) from error

            arrays[name] = Stored(shape, dtype.name, read)
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        raise _damaged(path, error) from error
    metadata = {}
    if METADATA in arrays:
        metadata = json.loads(str(arrays.pop(METADATA).read()))
    return arrays, metadata


def _npy_header(archive: zipfile.ZipFile, member: str) -> tuple[tuple[int, ...], np.dtype]:
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        reader = {(1, 0): np.lib.format.read_array_header_1_0}.get(
            version, np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = reader(stream)
    if dtype.hasobject:
        raise ValueError(f"{member} holds Python objects, which are not read")
    return shape, dtype


def _open_torch(path: Path) -> dict:
    try:
        import torch
    except ImportError:
        raise UserError(
            f"{path}: reading this needs PyTorch: pip install 'surgvista_jax[torch]', or save it"
            " as .safetensors where there is one"
        ) from None
    # Programs save their arguments beside the weights. A Namespace only takes attributes.
    torch.serialization.add_safe_globals([argparse.Namespace])
    try:
        # Nothing in the file is executed; mmap reads tensors only when they are touched.
        zipped = zipfile.is_zipfile(path)
        mapped = zipped and _is_of_this_byte_order(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old forms, which either load or do not
            tree = torch.load(path, map_location="cpu", weights_only=True, mmap=zipped)
    except pickle.UnpicklingError as error:
        if "weights_only" not in str(error) and "Unsupported" not in str(error):
            raise _damaged(path, error) from error
        raise UserError(
            f"{path}: refused: the file asks to execute code ({_asked_for(error)}); only files of"
            " plain tensors are read: save the model's state_dict alone"
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError, IndexError, TypeError) as error:
        raise _damaged(path, error) from error

    def stored(value: Any) -> Any:
        if isinstance(value, torch.Tensor):
            dtype = str(value.dtype).removeprefix("torch.")
            half = value.dtype in (torch.bfloat16, torch.float16)

            def read() -> np.ndarray:
                array = (value.float() if half else value).detach().numpy()
                if not mapped:
                    return array
                array = array.copy()
                storage = value.untyped_storage()
                _leave_on_disk(storage.data_ptr(), storage.nbytes())
                return array

            return Stored(tuple(value.shape), dtype, read)
        if isinstance(value, Mapping):
            return {str(key): stored(entry) for key, entry in value.items()}
        return value

    tree = stored(tree)
    return tree if isinstance(tree, dict) else {"": tree}


def _is_of_this_byte_order(path: Path) -> bool:
    """Whether torch takes the numbers of its file as they are, and swaps no bytes in memory."""
    with zipfile.ZipFile(path) as archive:
        members = [name for name in archive.namelist() if name.endswith("/byteorder")]
        return all(archive.read(name) == sys.byteorder.encode() for name in members)


def _leave_on_disk(address: int, size: int) -> None:
    """Gives memory back that only mirrors a file; whoever reads it again has it read again."""
    advise = getattr(ctypes.CDLL(None), "madvise", None) if os.name == "posix" else None
    first = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
    length = (address + size) // mmap.PAGESIZE * mmap.PAGESIZE - first
    if advise is not None and length > 0:
        advise(ctypes.c_void_p(first), ctypes.c_size_t(length), mmap.MADV_DONTNEED)


def _asked_for(error: Exception) -> str:
    """Which function a refused file wanted to call."""
    for line in str(error).splitlines():
        if "GLOBAL" in line or "global" in line:
            words = [word for word in line.replace("`", " ").split() if "." in word.strip(".,")]
            if words:
                return words[0].strip(".,")
    return "an object that is no tensor"


def _descend(tree: dict) -> tuple[dict[str, Stored], tuple[str, ...], tuple[str, ...]]:
    """The arrays of the first level that holds any, and how that was reached."""
    nested = ()
    while not any(isinstance(value, Stored) for value in tree.values()):
        inside = [key for key in NESTED if isinstance(tree.get(key), dict)]
        if not inside:
            break
        nested += (inside[0],)
        tree = tree[inside[0]]
    arrays = {name: value for name, value in tree.items() if isinstance(value, Stored)}
    return arrays, nested, tuple(name for name in tree if name not in arrays)


def _single(array: np.ndarray) -> np.ndarray:
    """Half precisions as float32; everything else as it is."""
    return array.astype(np.float32) if array.dtype == np.float16 else array
