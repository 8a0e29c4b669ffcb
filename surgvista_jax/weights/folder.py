"""Parameters in a folder of ours that says which model they belong to."""

import dataclasses
import os
import tempfile
from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp

from surgvista_jax.errors import UserError
from surgvista_jax.training.digests import check_arrays, digest_of_json, write_digests
from surgvista_jax.training.quiet_orbax import silence
from surgvista_jax.writing import CannotWrite, reason_of, remove_written, write_json

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


def write(folder: Path, content: Content) -> None:
    """Writes `weights.json`, the arrays (`params/`, Orbax) and their digests; all or nothing.

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
        text = {"kind": content.kind, "config": dataclasses.asdict(content.config)}
        text |= content.origin
        write_json(partial / DESCRIPTION, text)
        tree = content.params
        if content.batch_stats is not None:
            tree = {"params": content.params, "batch_stats": content.batch_stats}
        silence()
        with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as writer:
            writer.save(partial / "params", args=ocp.args.StandardSave(tree))
        digests = {"params": check_arrays(tree).digests, DESCRIPTION: digest_of_json(text)}
        write_digests(partial, digests)
        os.replace(partial, folder)
        partial = None
    except (OSError, ValueError) as error:  # TensorStore's errors, of a full disk, are ValueErrors
        told = reason_of(error) if isinstance(error, OSError) else str(error)
        reason = told.splitlines()[0]
        raise CannotWrite(folder, reason) from error
    finally:
        if partial is not None:
            remove_written(partial)
