"""A model in shards: several files, and the index that says which array lies in which."""

import hashlib
import re
from pathlib import Path, PurePosixPath, PureWindowsPath

from surgvista_jax.errors import UserError
from surgvista_jax.json_object import read_object
from surgvista_jax.ownership import sha256_of

INDEX = ".index.json"
_SHARD = re.compile(r"(.+)-(\d{5})-of-(\d{5})(\.\w+)")


def is_index(path: Path) -> bool:
    """Whether a file's name is that of an index, such as `model.safetensors.index.json`."""
    return path.name.endswith(INDEX)


def whole_of(path: Path) -> Path | None:
    """The index of the model of which a file is one shard of several, else the folder it lies in.

    None for a file that is no such shard.
    """
    shard = _SHARD.fullmatch(path.name)
    if shard is None or int(shard[3]) < 2:
        return None
    index = path.with_name(f"{shard[1]}{shard[4]}{INDEX}")
    return index if index.is_file() else path.parent


def shards_of(index: Path, exist: bool = True) -> dict[Path, set[str]]:
    """The shards that an index names, in its order -> the names of the arrays in each.

    Args:
        index: the file.
        exist: whether the shards have to be there.

    Raises:
        UserError: it is no index, names an array twice, a file that is not there or one elsewhere.
    """
    where = read_object(index, unique=True).get("weight_map")
    if not isinstance(where, dict) or not where:
        raise UserError(f"{index}: has no weight_map, which says in which file each array lies")
    shards: dict[Path, set[str]] = {}
    for name, file in where.items():
        if not isinstance(file, str) or not _is_beside(file):
            raise UserError(f"{index}: {name} lies in {file!r}, which is no file beside the index")
        shards.setdefault(index.with_name(file), set()).add(name)
    for shard in shards if exist else ():
        if not shard.is_file():
            raise UserError(f"{index}: names {shard.name}, and there is no such file beside it")
    return shards


def files_of(path: Path) -> list[Path]:
    """The shards of an index; any other file alone."""
    return list(shards_of(path)) if is_index(path) else [path]


def sha256_of_files(path: Path) -> str:
    """The sha256 in hex of a file's bytes; of an index, of its shards' names and digests."""
    if not is_index(path):
        return sha256_of(path)
    lines = (f"{shard.name} {sha256_of(shard)}\n" for shard in shards_of(path))
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _is_beside(file: str) -> bool:
    """Whether a name is that of a file in the same folder, on any system."""
    names = (PurePosixPath(file).name, PureWindowsPath(file).name)
    return file not in ("", "..") and "\0" not in file and all(name == file for name in names)
