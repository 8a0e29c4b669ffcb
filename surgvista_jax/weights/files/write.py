"""Parameters of ours as a file under another family's names: all of it or nothing."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import save_file

from surgvista_jax.errors import UserError
from surgvista_jax.weights.files.checksums import with_checksums
from surgvista_jax.weights.files.npz import METADATA
from surgvista_jax.weights.names.entries import Entry, fits
from surgvista_jax.weights.names.table import Table
from surgvista_jax.writing import replacing

BATCH_STATS = "batch_stats"
TENSORS_ALONE = (".pth", ".pt", ".bin")  # written by torch, without metadata
# Fewer than are read: .tar and .pkl would promise something else than is written here.
WRITTEN = (".safetensors", ".npz", *TENSORS_ALONE)


def save(
    params: Mapping,
    table: Table,
    config: Any,
    path: str | Path,
    metadata: Mapping[str, str] | None = None,
    batch_stats: Mapping | None = None,
) -> None:
    """Writes a .safetensors, .npz or .pth/.pt/.bin file under a table's names.

    Args:
        params: tree of arrays, as `loading.load` gives it.
        table: whose names.
        config: the model that the parameters are of, of the table's kind.
        path: where to; an existing file is replaced once the new one is complete.
        metadata: what the file says besides (.safetensors, .npz).
        batch_stats: the statistics of a convolutional network.

    Raises:
        UserError: a parameter is missing, left over or of another shape; their form cannot
            express ours.
        CannotWrite: the path cannot be written.
    """
    path = Path(path)
    if path.suffix not in WRITTEN:
        raise UserError(f"{path}: weights are written as {', '.join(WRITTEN)}")
    with replacing(path) as aside:
        save_here(params, table, config, aside, metadata, batch_stats)


def save_here(
    params: Mapping,
    table: Table,
    config: Any,
    path: Path,
    metadata: Mapping[str, str] | None = None,
    batch_stats: Mapping | None = None,
) -> None:
    """As `save`, straight to `path`: for whoever replaces a file together with others.

    Raises:
        UserError: as `save`.
        OSError: the path cannot be written.
    """
    leaves = flat(params) | {f"{BATCH_STATS}/{k}": v for k, v in flat(batch_stats or {}).items()}
    arrays = to_theirs(leaves, table, config)
    written = {"format": "pt", "table": table.name, **(metadata or {})}
    try:
        _write(arrays, written, path)
    except (SafetensorError, RuntimeError) as error:  # safetensors' and PyTorch's, of a full disk
        raise OSError(0, str(error).splitlines()[0]) from error


def to_theirs(leaves: Mapping[str, Any], table: Table, config: Any) -> dict[str, np.ndarray]:
    """The arrays of a file: their name -> array.

    Args:
        leaves: our path -> array.
        table, config: as for `save`.

    Raises:
        UserError: see `save`.
    """
    entries = table.entries(config)
    _check(leaves, entries, table)
    arrays = {}
    for entry in entries:
        ours = [np.asarray(leaves[path]) for path in entry.paths]
        for layer in range(max(1, entry.layers)):
            parts = [leaf[layer] if entry.layers else leaf for leaf in ours]
            try:
                theirs = entry.transform.to_theirs(*parts)
            except UserError as error:
                raise UserError(f"{entry.paths[0]}: {error} ({table.title})") from None
            for name, array in zip(entry.named(layer), theirs, strict=True):
                arrays[name] = np.ascontiguousarray(array)
    return arrays


def flat(tree: Mapping, prefix: str = "") -> dict[str, Any]:
    """Nested dicts as one: {"a": {"b": x}} -> {"a/b": x}."""
    leaves: dict[str, Any] = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            leaves |= flat(value, f"{prefix}{key}/")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves


def _check(leaves: Mapping[str, Any], entries: list[Entry], table: Table) -> None:
    wanted = {
        path: shape for e in entries for path, shape in zip(e.paths, e.our_shapes, strict=True)
    }
    what = f"{table.title} ({table.name})"
    for path in wanted.keys() - leaves.keys():
        raise UserError(f"{path}: {what} has this parameter, and there is none to write")
    for path in leaves.keys() - wanted.keys():
        raise UserError(f"{path}: {what} has no such parameter, so it would be lost")
    for path, shape in wanted.items():
        found = tuple(np.shape(leaves[path]))
        if not fits(found, shape):
            raise UserError(f"{path}: is {list(found)}, and {what} wants {list(shape)}")


def _write(arrays: dict[str, np.ndarray], metadata: dict[str, str], path: Path) -> None:
    if path.suffix == ".safetensors":
        save_file(arrays, path, metadata=with_checksums(arrays, metadata))
    elif path.suffix in TENSORS_ALONE:
        _write_torch(arrays, path)
    else:
        content: dict[str, Any] = {**arrays, METADATA: np.array(json.dumps(metadata))}
        np.savez(path, **content)


def _write_torch(arrays: dict[str, np.ndarray], path: Path) -> None:
    try:
        import torch
    except ImportError:
        raise UserError(
            f"{path.name}: writing this needs PyTorch: pip install torch, or choose .safetensors"
        ) from None
    state = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    with open(path, "wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # its writer says only that the file ends too early
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise
