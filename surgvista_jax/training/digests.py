"""Digests of arrays: whether what is read is what was written, on whatever devices it lies.

Checksums of libraries take the bytes of an array in one piece, which no process of a sharded run
has, and other pieces lie on another mesh. So each element is hashed with its place in the whole
array, by the finaliser of MurmurHash3 (A. Appleby, public domain), and the hashes are added up
modulo 2^32: in any order, each device its own shard. A change of one element always shows, since
the hash of a place is one to one; of several, but for one time in 2^32.
"""

import functools
import json
import math
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from surgvista_jax.json_object import parse
from surgvista_jax.writing import write_json

ITEM = "digests"  # beside the arrays of a checkpoint or an imported folder
_FILE = "metadata"  # as Orbax names the file of an item that is JSON
_SPREAD = 0x9E3779B9  # odd: places that follow one another become far numbers
Starts = tuple[int, ...]
Shape = tuple[int, ...]

_DIGITS = 9  # of a digest and the space before it
_BLOCK = 1 << 16  # elements that are hashed at a time in a processor's cache


class Checked(NamedTuple):
    """What is known of the arrays of a tree.

    Attributes:
        digests: path -> type, shape and digest, such as "float32[8, 16] 01ab34cd".
        infinite: paths of the arrays that hold NaN or infinities.
    """

    digests: dict[str, str]
    infinite: list[str]


def check_arrays(tree: Any, hashed: bool = True) -> Checked:
    """Digests of all arrays of a tree, and which of them are not finite.

    Of arrays that several processes share, all of them make the call.

    Args:
        tree: nested dicts, tuples and the like of NumPy's or JAX's arrays.
        hashed: whether digests are wanted; without, they are type and shape alone.
    """
    leaves, kinds = jax.tree.leaves(tree), _kinds(tree)
    begun = [[_begin(*shard, hashed) for shard in _own_shards(leaf)] for leaf in leaves]
    sums = np.zeros((len(leaves), 2), np.uint32)  # of each array: digest, shards not finite
    for row, shards in zip(sums, jax.device_get(begun), strict=True):
        for total, finite in shards:
            row += np.array([total, not finite], np.uint32)
    shared = [isinstance(leaf, jax.Array) and not leaf.is_fully_addressable for leaf in leaves]
    if any(shared):
        everywhere = multihost_utils.process_allgather(sums).sum(0, dtype=np.uint32)
        sums[shared] = everywhere[shared]
    digests, infinite = {}, []
    for (path, kind), (total, unfit) in zip(kinds.items(), sums, strict=True):
        digests[path] = f"{kind} {total:08x}" if hashed else kind
        if unfit:
            infinite.append(path)
    return Checked(digests, infinite)


def are_of(noted: Mapping[str, Any], trees: Mapping[str, Any]) -> bool:
    """Whether saved digests name exactly these arrays, whatever their numbers.

    Args:
        noted: what `read_digests` gives.
        trees: item -> tree of arrays, or of what stands for them.
    """
    for item, tree in trees.items():
        there = noted.get(item)
        if not isinstance(there, dict):
            return False
        if _kinds(tree) != {path: str(digest)[:-_DIGITS] for path, digest in there.items()}:
            return False
    return True


def _kinds(tree: Any) -> dict[str, str]:
    """Path -> type and shape of each array, such as "float32[8, 16]"."""
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): (
            f"{np.dtype(leaf.dtype).name}{list(leaf.shape)}"
        )
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def digest_of_json(value: Any) -> str:
    """The digest of a value as JSON, whatever the order of its keys."""
    plain = json.loads(json.dumps(value))
    return f"{zlib.crc32(json.dumps(plain, sort_keys=True).encode()):08x}"


def write_digests(folder: Path, digests: Mapping[str, Any]) -> None:
    """Writes the digests of a folder that is not Orbax's manager's; see `read_digests`."""
    write_json(folder / ITEM / _FILE, digests)


def read_digests(folder: Path) -> dict[str, Any] | None:
    """What was noted when a folder was written: item -> digest, or path -> digest of its arrays.

    None where nothing was: an earlier version wrote it, or digests were switched off.

    Raises:
        ValueError, OSError: the file is damaged.
    """
    file = folder / ITEM / _FILE
    if not (folder / ITEM).is_dir():
        return None
    try:
        value = parse(file.read_bytes().decode())
    except ValueError as error:
        raise ValueError(f"its {ITEM} cannot be read") from error
    if not isinstance(value, dict):
        raise ValueError(f"its {ITEM} are not a JSON object")
    return value


def fault_of(item: str, checked: Checked, noted: Any) -> str:
    """Why arrays cannot be those that were saved, in words; "" where nothing is wrong.

    Args:
        item: what they are, such as "params".
        checked: what is known of them.
        noted: path -> digest as it was when they were saved; None where that is unknown.
    """
    if noted is not None:
        found = checked.digests
        if not isinstance(noted, dict) or noted.keys() != found.keys():
            return f"its {ITEM} are not those of its {item}"
        for path, digest in found.items():
            if noted[path] != digest:
                return f"{item}/{path} holds other numbers than were saved"
    if checked.infinite:
        return f"{item}/{checked.infinite[0]} holds numbers that are not finite"
    return ""


def _own_shards(leaf: Any) -> list[tuple[Any, Starts, Shape]]:
    """The parts of an array that this process counts: numbers, where they begin, the whole's shape.

    Of copies on several devices or processes one is counted.
    """
    if not isinstance(leaf, jax.Array):
        return [(np.asarray(leaf), (0,) * leaf.ndim, leaf.shape)]
    shards = [shard for shard in leaf.addressable_shards if shard.replica_id == 0]
    starts = [tuple(part.start or 0 for part in shard.index) for shard in shards]
    return [(s.data, start, leaf.shape) for s, start in zip(shards, starts, strict=True)]


def _begin(part: Any, starts: Starts, shape: Shape, hashed: bool) -> tuple[Any, Any]:
    """The digest of a part of an array and whether it is finite; on a device, not yet computed."""
    if isinstance(part, jax.Array):
        if part.devices() and next(iter(part.devices())).platform != "cpu":
            return digest_on_device(part, np.array(starts, np.uint32), shape, hashed)
        part = np.asarray(part)
    finite = not jnp.issubdtype(part.dtype, jnp.inexact) or np.isfinite(part).all()
    return (digest_on_host(part, starts, shape) if hashed else 0), finite


def digest_on_device(
    part: jax.Array, starts: np.ndarray, shape: Shape, hashed: bool = True
) -> tuple[jax.Array, jax.Array]:
    """What a part adds to the digest of an array, uint32 [], and whether it is finite, bool [].

    Args:
        part: the numbers, on one device.
        starts: uint32 [ndim], where they begin in the array.
        shape: of the array.
    """
    # A run has set a mesh of all its devices, on which JAX computes nothing that lies on one.
    with jax.set_mesh(Mesh(np.array(list(part.devices())), ("alone",))):
        return _digest(part, starts, shape, hashed)


@functools.partial(jax.jit, static_argnums=(2, 3))
def _digest(
    part: jax.Array, starts: jax.Array, shape: Shape, hashed: bool
) -> tuple[jax.Array, jax.Array]:
    finite, total = jnp.bool_(True), jnp.uint32(0)
    if jnp.issubdtype(part.dtype, jnp.inexact):
        finite = jnp.isfinite(part).all()
    if hashed:
        unsigned = jnp.dtype(f"u{part.dtype.itemsize}")
        whole = part.astype(unsigned) if part.dtype == bool else part
        bits = jax.lax.bitcast_convert_type(whole, unsigned).astype(jnp.uint32)
        place = jnp.uint32(0)
        for axis, step in enumerate(_steps(shape)):
            along = jax.lax.broadcasted_iota(jnp.uint32, part.shape, axis)
            place += (along + starts[axis]) * step
        total = jnp.sum(_mixed(bits + place), dtype=jnp.uint32)
    return total, finite


def digest_on_host(part: np.ndarray, starts: Starts, shape: Shape) -> int:
    """The same number from NumPy; 8 bytes, which no device has as one number, count as two."""
    if not part.ndim:
        return digest_on_host(part[None], (0,), (1,))
    if part.dtype.itemsize == 8:
        halves = np.ascontiguousarray(part)[..., None].view(np.uint32)
        return digest_on_host(halves, (*starts, 0), (*shape, 2))
    bits = np.ascontiguousarray(part).view(f"u{part.dtype.itemsize}").reshape(-1, part.shape[-1])
    *above, last = (
        (np.arange(size, dtype=np.uint32) + np.uint32(start)) * step
        for size, start, step in zip(part.shape, starts, _steps(shape), strict=True)
    )
    rows, total = np.zeros((1, 1), np.uint32), 0
    for along in above:
        rows = (rows + along).reshape(-1, 1)
    height, width = max(1, _BLOCK // max(1, len(last))), _BLOCK
    for row in range(0, len(bits), height):
        for column in range(0, len(last), width):
            block = bits[row : row + height, column : column + width]
            place = rows[row : row + height] + last[column : column + width]
            total += int(_mixed(block + place).sum(dtype=np.uint64))
    return total % 2**32


def _steps(shape: Shape) -> list[np.uint32]:
    """By how much a place changes along each axis, modulo 2^32."""
    sizes = (*shape[1:], 1)
    strides = (math.prod(sizes[axis:]) for axis in range(len(shape)))
    return [np.uint32(stride * _SPREAD % 2**32) for stride in strides]


def _mixed(x: Any) -> Any:
    """MurmurHash3's finaliser of uint32 arrays, a permutation of all numbers of 32 bits."""
    x = (x ^ (x >> np.uint32(16))) * np.uint32(0x85EBCA6B)
    x = (x ^ (x >> np.uint32(13))) * np.uint32(0xC2B2AE35)
    return x ^ (x >> np.uint32(16))
