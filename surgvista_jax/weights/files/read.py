"""Files of weights, opened: names, shapes and types at once, numbers when asked for."""

import contextlib
import dataclasses
import hashlib
import json
import lzma
import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.weights.files.stored import Stored, damaged, descend
from surgvista_jax.weights.files.torch import open_torch

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
# What zipfile, its decompressors and NumPy raise for damaged bytes.
_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError),
    *(ValueError, TypeError, SyntaxError, tokenize.TokenError, OverflowError),
    *(NotImplementedError, RuntimeError),
)


@dataclasses.dataclass(frozen=True)
class SourceFile:
    """An open file of weights.

    Attributes:
        path: where it lies.
        arrays: name -> array.
        digest: sha256 of the file's bytes, in hex.
        nested: keys that were descended into, such as ("model",).
        metadata: what a safetensors header says besides.
        other: names of what is not an array.
        passed: keys that hold arrays too and were not descended into, such as ("model_ema",).
    """

    path: Path
    arrays: dict[str, Stored]
    digest: str
    nested: tuple[str, ...] = ()
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
    other: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: stored.shape for name, stored in self.arrays.items()}

    def take(self, name: str) -> np.ndarray:
        """Reads an array for the last time: old forms of `.pth` hold it in memory until then."""
        return self.arrays.pop(name).read()


@contextlib.contextmanager
def open_file(path: str | Path) -> Iterator[SourceFile]:
    """Opens a file of weights of any of `SUFFIXES`; its arrays can be read within the context.

    Raises:
        UserError: there is no such file; it is text, truncated or damaged; it asks to execute code;
            its form is unknown; torch is needed and missing; nothing says where its weights lie.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"{path}: there is no such file")
    if path.suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise UserError(f"{path}: files of weights end in {known}, not in {path.suffix!r}")
    with contextlib.ExitStack() as stack:
        try:
            if text := _text(path):
                raise UserError(f"{path}: is {text}")
            if path.suffix == ".safetensors":
                found, metadata = _open_safetensors(path)
            elif path.suffix == ".npz":
                found, metadata = _open_npz(path, stack)
            else:
                found, metadata = open_torch(path), {}
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
        level, nested, passed = descend(found, path)
        arrays = {name: value for name, value in level.items() if isinstance(value, Stored)}
        other = tuple(name for name in level if name not in arrays)
        if not arrays:
            holds = ", ".join(other[:8]) or "nothing"
            raise UserError(f"{path}: holds no arrays, but {holds}")
        del found, level  # or an array that was taken would stay in memory
        yield SourceFile(path, arrays, digest(path), nested, metadata, other, passed)


def digest(path: str | Path) -> str:
    """sha256 of a file's bytes, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _text(path: Path) -> str:
    """What a file of text is, such as a failed download leaves; "" for any other file.

    No form of weights begins with text: zip archives and safetensors' lengths have bytes below a
    space in their first eight, and pickles begin with 0x80.
    """
    with open(path, "rb") as file:
        start = file.read(512)
    if not start or start[0] >= 0x80 or any(x < 32 and x not in b"\t\n\f\r" for x in start):
        return ""
    if start.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer in place of the weights: fetch them with `git lfs pull`"
    if start.lstrip().lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        return "a web page, not weights: what was downloaded is not the file behind the link"
    return "text, not weights"


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
        raise damaged(path, error) from error
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
    if dtype.hasobject:
        raise ValueError(f"{member} holds Python objects, which are not read")
    return shape, dtype


def _single(array: np.ndarray) -> np.ndarray:
    """Half precisions as float32; everything else as it is."""
    return array.astype(np.float32) if array.dtype == np.float16 else array
