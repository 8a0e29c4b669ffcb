"""How do parameters of ours become a file under another family's names?  All of it or nothing."""

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.weights.files.read import METADATA
from surgvista_jax.weights.names.entries import Entry, fits
from surgvista_jax.weights.names.table import Table

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
            express ours; the path cannot be written.
    """
    path = Path(path)
    if path.suffix not in WRITTEN:
        raise UserError(f"{path}: weights are written as {', '.join(WRITTEN)}")
    leaves = flat(params) | {f"{BATCH_STATS}/{k}": v for k, v in flat(batch_stats or {}).items()}
    arrays = to_theirs(leaves, table, config)
    written = {"format": "pt", "table": table.name, **(metadata or {})}
    with replacing(path) as partial:
        _write(arrays, written, path.suffix, partial)


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
    leaves = {}
    for key, value in tree.items():
        if isinstance(value, Mapping):
            leaves |= flat(value, f"{prefix}{key}/")
        else:
            leaves[f"{prefix}{key}"] = value
    return leaves


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A name to write to, beside `path`; renamed to it at the end, removed after an error.

    The file gets the permissions of any new file of the user's, however it was written.

    Raises:
        UserError: the folder cannot be written.
    """
    partial = path.with_name(f"{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.touch()
        mode = partial.stat().st_mode
        yield partial
        partial.chmod(mode)  # safetensors lets only the owner read its files
        os.replace(partial, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror or error})") from error
    finally:
        partial.unlink(missing_ok=True)


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


def _write(
    arrays: dict[str, np.ndarray], metadata: dict[str, str], suffix: str, path: Path
) -> None:
    if suffix == ".safetensors":
        from safetensors.numpy import save_file

        save_file(arrays, path, metadata=metadata)
    elif suffix in TENSORS_ALONE:
        _write_torch(arrays, path)
    else:
        with open(path, "wb") as file:
            np.savez(file, **arrays, **{METADATA: np.array(json.dumps(metadata))})


def _write_torch(arrays: dict[str, np.ndarray], path: Path) -> None:
    try:
        import torch
    except ImportError:
        raise UserError(
            f"{path.name.removesuffix('.partial')}: writing this needs PyTorch: pip install"
            " 'surgvista_jax[torch]', or choose .safetensors"
        ) from None
    torch.save({name: torch.from_numpy(array.copy()) for name, array in arrays.items()}, path)
