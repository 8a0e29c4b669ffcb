"""Parameters in a folder of ours that says which model they belong to."""

import dataclasses
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp

from surgvista_jax.errors import UserError
from surgvista_jax.training.quiet_orbax import silence
from surgvista_jax.writing import CannotWrite, reason_of, write_json

DESCRIPTION = "weights.json"


@dataclasses.dataclass(frozen=True)
class Content:
    """What a folder holds.

    Attributes:
        kind, config: as in `loading.Loaded`.
        params, batch_stats: nested dicts of NumPy arrays.
        origin: what `weights.json` says besides, such as the digest of an imported file.
    """

    kind: str
    config: Any
    params: dict
    batch_stats: dict | None = None
    origin: dict = dataclasses.field(default_factory=dict)


def describe(folder: Path, kind: str, config: Any, origin: dict | None = None) -> None:
    """Writes `weights.json`, by which a folder of checkpoints says what model they are of.

    Raises:
        CannotWrite: the folder cannot be written.
    """
    text = {"kind": kind, "config": dataclasses.asdict(config), **(origin or {})}
    write_json(folder / DESCRIPTION, text)


def write(folder: Path, content: Content) -> None:
    """Writes `weights.json` and the arrays (`params/`, Orbax); all of it or nothing.

    Raises:
        UserError: the folder exists, or it cannot be written.
    """
    if folder.exists():
        raise UserError(f"{folder}: exists already; choose another folder")
    partial = None
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        # A unique name: no one's folder is deleted, and two imports do not collide.
        made = tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.absolute().parent)
        partial = Path(made)
        partial.chmod(0o755)
        describe(partial, content.kind, content.config, content.origin)
        tree = content.params
        if content.batch_stats is not None:
            tree = {"params": content.params, "batch_stats": content.batch_stats}
        silence()
        with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as writer:
            writer.save(partial / "params", args=ocp.args.StandardSave(tree))
        os.replace(partial, folder)
    except (OSError, ValueError) as error:  # TensorStore's errors, of a full disk, are ValueErrors
        told = reason_of(error) if isinstance(error, OSError) else str(error)
        reason = told.splitlines()[0]
        raise CannotWrite(folder, reason) from error
    finally:
        if partial is not None:
            shutil.rmtree(partial, ignore_errors=True)
