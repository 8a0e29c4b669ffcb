"""Reads the newest checkpoint that is as it was saved; others are named, and set aside."""

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from surgvista_jax.errors import UserError
from surgvista_jax.training.checkpoint_files import (
    Tree,
    check_same,
    first_line,
    leaves_on_disk,
)
from surgvista_jax.training.digests import (
    are_of,
    check_arrays,
    digest_of_json,
    fault_of,
    read_digests,
)
from surgvista_jax.training.meters import is_window
from surgvista_jax.training.processes import on_all_processes


class Restored(NamedTuple):
    """What a checkpoint held, and of which step it is."""

    step: int
    params: Any
    opt_state: Any
    average: Any
    meta: dict


_ELSEWHERE = "its files cannot be read by another process"
_DAMAGED = ".damaged"


def read_newest(
    manager: ocp.CheckpointManager,
    folder: Path,
    steps: Sequence[int],
    trees: Mapping[str, Tree],
    digests: bool,
) -> Restored:
    """The newest whole checkpoint; newer ones are moved to `<step>.damaged`. All processes call it.

    Args:
        manager: of the folder.
        steps: to be tried, ascending.
        trees, digests: as for `read_step`.

    Raises:
        UserError: it holds other arrays than these, or all are damaged.
    """
    damaged: dict[int, str] = {}
    for step in reversed(steps):
        restored, fault = read_step(manager, folder / str(step), trees, digests)
        if restored is not None:
            if damaged:
                _set_aside(folder, damaged, step)
                manager.reload()
            return restored
        damaged[step] = fault
    raise UserError(
        f"{folder}: no whole checkpoint; "
        + "; ".join(f"step {step} is damaged ({fault})" for step, fault in damaged.items())
    )


def _set_aside(folder: Path, damaged: Mapping[int, str], used: int) -> None:
    if jax.process_index() == 0:
        for step, fault in damaged.items():
            aside = folder / f"{step}{_DAMAGED}"
            shutil.rmtree(aside, ignore_errors=True)
            (folder / str(step)).rename(aside)
            print(
                f"WARNING: checkpoint of step {step} is damaged ({fault}); moved to {aside}."
                f" Going back to step {used}",
                file=sys.stderr,
            )
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices("damaged checkpoints set aside")


def read_step(
    manager: ocp.CheckpointManager, folder: Path, trees: Mapping[str, Tree], digests: bool
) -> tuple[Restored | None, str]:
    """The checkpoint, or None and what is wrong with it; all processes get it, or none.

    Args:
        manager: of the folder above.
        folder: the checkpoint, named by its step.
        trees: item -> tree of `jax.ShapeDtypeStruct` with shardings, or of arrays.
        digests: whether it is compared with the digests that were saved with it.

    Raises:
        UserError: it holds other arrays than these.
    """
    restored, noted, fault = _read(manager, folder, trees, digests)
    # A process may meet a damaged file that the others do not need: all go back, or none. They
    # compute digests together, once each has its arrays.
    everywhere = _on_all(restored is not None)
    if restored is not None and everywhere:
        fault = difference(restored, trees, noted)
        everywhere = _on_all(not fault)
    return (restored, "") if everywhere else (None, fault or _ELSEWHERE)


def _read(
    manager: ocp.CheckpointManager, folder: Path, trees: Mapping[str, Tree], digests: bool
) -> tuple[Restored | None, dict[str, Any] | None, str]:
    """What this process reads, and the digests that were saved; or None and why."""
    try:
        noted = read_digests(folder) if digests else None
        found = {"opt_state": leaves_on_disk(folder / "opt_state")}
        if any(path.startswith("average/") for path in found["opt_state"]):
            raise UserError(
                f"{folder}: an earlier version kept its running mean of the parameters among"
                " the moments, from which this one cannot go on; take another --workdir"
            )
        found |= {item: leaves_on_disk(folder / item) for item in trees if item not in found}
    except UserError:
        raise
    except Exception as error:  # the readers raise no common type
        return None, None, first_line(error)
    try:
        check_same(folder, trees, found)
    except UserError:
        if noted is None or not are_of(noted, trees):
            raise
        return None, None, "its metadata name other arrays than its digests"
    items = {item: ocp.args.StandardRestore(tree) for item, tree in trees.items()}
    items["meta"] = ocp.args.JsonRestore()
    try:
        read = manager.restore(int(folder.name), args=ocp.args.Composite(**items))
        average = read.average if "average" in trees else None
        if not (isinstance(read.meta, dict) and is_window(read.meta.get("window"))):
            raise ValueError("its meta is not a JSON object, or its window none")
        restored = Restored(int(folder.name), read.params, read.opt_state, average, read.meta)
    except Exception as error:
        return None, None, first_line(error)
    return restored, noted, ""


def difference(
    restored: Restored, trees: Mapping[str, Tree], noted: Mapping[str, Any] | None
) -> str:
    """In what a checkpoint is not what was saved, in words; "" where it is. All processes call it.

    Args:
        noted: the digests that were saved with it; None where there are none.
    """
    # All of them, whatever is found: other processes may find something else.
    checked = {
        item: check_arrays(getattr(restored, item), hashed=noted is not None) for item in trees
    }
    if noted is not None and noted.get("meta") != digest_of_json(restored.meta):
        return "its meta is not what was saved"
    faults = (
        fault_of(item, found, None if noted is None else noted.get(item, {}))
        for item, found in checked.items()
    )
    return next(filter(None, faults), "")


def _on_all(mine: bool) -> bool:
    return bool(on_all_processes(np.array(mine)))
