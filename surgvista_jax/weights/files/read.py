"""Files of weights, opened: names, shapes and types at once, numbers when asked for."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.weights.files.npz import open_npz
from surgvista_jax.weights.files.safetensors import open_safetensors
from surgvista_jax.weights.files.shards import (
    files_of,
    is_index,
    sha256_of_files,
    shards_of,
    whole_of,
)
from surgvista_jax.weights.files.stored import Stored, damaged, descend
from surgvista_jax.weights.files.torch import open_torch

TORCH = (".pth", ".pt", ".bin", ".torch", ".pkl", ".tar", ".ckpt", ".pyth")
SUFFIXES = (".safetensors", ".npz", *TORCH)


@dataclasses.dataclass(frozen=True)
class SourceFile:
    """An open file of weights.

    Attributes:
        path: where it lies; of a model in shards, their index.
        arrays: name -> array.
        digest: sha256 in hex of the file's bytes; of shards, of their names and digests.
        nested: keys that were descended into, such as ("model",).
        metadata: what a safetensors header says besides.
        other: names of what is not an array.
        passed: keys that hold arrays too and were not descended into, such as ("model_ema",).
        others: those of them that may be weights as well, as KEY of `FILE#KEY`.
    """

    path: Path
    arrays: dict[str, Stored]
    digest: str
    nested: tuple[str, ...] = ()
    metadata: Mapping[str, str] = dataclasses.field(default_factory=dict)
    other: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """How many bytes its files have."""
        return sum(file.stat().st_size for file in files_of(self.path))

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        return {name: stored.shape for name, stored in self.arrays.items()}

    def take(self, name: str) -> np.ndarray:
        """Reads an array for the last time: old forms of `.pth` hold it in memory until then."""
        return self.arrays.pop(name).read()


@contextlib.contextmanager
def open_file(path: str | Path, key: str = "") -> Iterator[SourceFile]:
    """Opens a file of weights of any of `SUFFIXES`; its arrays can be read within the context.

    Args:
        path: the file, or the index of a model in shards (`model.safetensors.index.json`).
        key: where in the file the weights lie, keys separated by "/"; "" finds them.

    Raises:
        UserError: there is no such file; it is text, truncated or damaged; it asks to execute code;
            its form is unknown; torch is needed and missing; nothing says where its weights lie.
    """
    path = Path(path)
    with contextlib.ExitStack() as stack:
        try:
            found, metadata, sha256 = _open(path, stack)
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror or error})") from error
        level = descend(found, path, key)
        arrays = {name: value for name, value in level.values.items() if isinstance(value, Stored)}
        other = tuple(name for name in level.values if name not in arrays)
        nested, passed, others = level[1:]
        if not arrays:
            holds = ", ".join(other[:8]) or "nothing"
            raise UserError(f"{path}: holds no arrays, but {holds}")
        del found, level  # or an array that was taken would stay in memory
        yield SourceFile(path, arrays, sha256, nested, metadata, other, passed, others)


def _open(path: Path, stack: contextlib.ExitStack) -> tuple[dict, dict, str]:
    """The tree of a file or of all shards, what it says besides, and its digest."""
    if not path.is_file():
        there = "is not a file" if path.exists() else "there is no such file"
        raise UserError(f"{path}: {there}")
    if not is_index(path):
        if whole := whole_of(path):
            raise UserError(f"{path}: is one of several shards of a model; name {whole}")
        return (*_open_one(path, stack), sha256_of_files(path))
    if (text := _text(path)) and text != _TEXT:
        raise UserError(f"{path}: is {text}")
    arrays: dict[str, Stored] = {}
    metadata: dict[str, str] = {}
    for shard, names in shards_of(path).items():
        values, told = _open_one(shard, stack)
        level = descend(values, shard).values
        held = {name for name, value in level.items() if isinstance(value, Stored)}
        if names != held:
            name = min(names ^ held)
            where = "is not in it, and the index says so" if name in names else "is not its own"
            raise UserError(f"{shard}: {name} {where} ({path.name})")
        arrays |= {name: level[name] for name in sorted(held)}
        metadata |= told
    return arrays, metadata, sha256_of_files(path)


def _open_one(path: Path, stack: contextlib.ExitStack) -> tuple[dict, dict]:
    if path.suffix not in SUFFIXES:
        known = ", ".join(SUFFIXES)
        raise UserError(f"{path}: files of weights end in {known}, not in {path.suffix!r}")
    if not path.stat().st_size:
        raise damaged(path, EOFError("it is empty"))
    if text := _text(path):
        raise UserError(f"{path}: is {text}")
    if path.suffix == ".safetensors":
        return open_safetensors(path)
    if path.suffix == ".npz":
        return open_npz(path, stack)
    if other := _misnamed(path):
        raise UserError(f"{path}: is {other}")
    return open_torch(path), {}


def _misnamed(path: Path) -> str:
    """What a file that has a name of PyTorch's is instead; "" where its first bytes tell nothing.

    Of safetensors the first eight are the length of the JSON that follows.
    """
    with open(path, "rb") as file:
        start = file.read(512)
    if start[8:9] == b"{" and int.from_bytes(start[:8], "little") < path.stat().st_size:
        return "in the form of safetensors: let its name end in .safetensors"
    if start.startswith(b"\x1f\x8b"):
        return "compressed by gzip: unpack it (gzip -d, or tar -xzf)"
    if start[257:262] == b"ustar":
        return "an archive of tar's: unpack it (tar -xf) and name a file in it"
    return "a file of HDF5, which is not read" if start.startswith(b"\x89HDF") else ""


_TEXT = "text, not weights"


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
    return _TEXT
