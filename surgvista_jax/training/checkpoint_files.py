"""A checkpoint folder: what it holds, whether that is what is wanted, and its parameters alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from surgvista_jax.errors import UserError
from surgvista_jax.training.devices import start_devices
from surgvista_jax.training.digests import check_arrays, digest_of_json, fault_of, read_digests
from surgvista_jax.training.quiet_orbax import silence

Tree = Any  # nested dicts of arrays, or of what stands for them

FOLDER = "checkpoints"
_SHOWN = 8  # lines of a table of differences


def saved_steps(folder: Path) -> list[int]:
    """Steps of the complete checkpoints in `folder`, ascending.

    A checkpoint is written under another name and renamed when it is complete, so a folder named
    by a number is whole as far as its writer could tell.
    """
    if not folder.is_dir():
        return []
    return sorted(int(child.name) for child in folder.iterdir() if child.name.isdecimal())


def leaves_on_disk(folder: Path) -> dict[str, tuple]:
    """Path -> (shape, dtype name) of every array in one item, read from its metadata alone."""
    return _described(ocp.StandardCheckpointHandler().metadata(folder).tree)


def check_same(folder: Path, wanted: Mapping, found: Mapping[str, dict]) -> None:
    """Raises UserError with a short table unless the checkpoint holds exactly the wanted arrays.

    Args:
        folder: the checkpoint, for the message.
        wanted: item -> tree of arrays or `jax.ShapeDtypeStruct`.
        found: item -> what `leaves_on_disk` says.
    """
    lines = []
    for item, tree in wanted.items():
        asked, there = _described(tree), found[item]
        for path in sorted(asked.keys() | there.keys()):
            if asked.get(path) != there.get(path):
                here, saved = _text(asked.get(path)), _text(there.get(path))
                lines.append(f"  {item}/{path}: saved {saved}, wanted {here}")
    if lines:
        rest = [f"  … and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
        table = "\n".join(lines[:_SHOWN] + rest)
        raise UserError(
            f"{folder}: holds other arrays than this configuration asks for ({len(lines)} differ);"
            f" use the configuration it was written with\n{table}"
        )


def none_found(folder: Path, step: int | None, steps: list[int]) -> UserError:
    """The error for a checkpoint that is not there: what was looked for, what there is instead."""
    wanted = "no checkpoint" if step is None else f"no checkpoint of step {step}"
    if steps:
        there = "there are steps " + ", ".join(map(str, steps))
    elif folder.is_dir():
        names = sorted(child.name for child in folder.iterdir())
        there = "the folder holds " + (", ".join(names[:_SHOWN]) if names else "nothing")
    else:
        there = "there is no such folder"
    return UserError(f"{folder}: {wanted} here; {there}")


def first_line(error: Exception) -> str:
    """An error of Orbax or TensorStore cut to what a person reads."""
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return text if len(text) <= 200 else text[:200] + "…"


def restore_params(
    folder: str | Path, step: int | None = None, abstract: Tree | None = None
) -> Tree:
    """The parameters of a checkpoint, without reading optimiser state.

    Args:
        folder: a run's folder, its `checkpoints` folder or one checkpoint in there.
        step: which checkpoint; by default the newest.
        abstract: tree of `jax.ShapeDtypeStruct` with shardings: where and as what each array goes.
            Without it the arrays come as NumPy, in the tree that was saved.

    Raises:
        UserError: there is none; it cannot be read, is not what was saved, or not finite; it holds
            other arrays than `abstract`; there are no such devices as the environment asks for.
    """
    folder = _step_folder(Path(folder).absolute(), step)
    start_devices()  # Orbax needs them, and would call the checkpoint damaged
    silence()
    try:
        noted = read_digests(folder)
        metadata = ocp.StandardCheckpointHandler().metadata(folder / "params").tree
    except Exception as error:  # the readers raise no common type
        raise UserError(f"{folder}: damaged, cannot be read ({first_line(error)})") from error
    if abstract is None:
        as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), metadata)
        arguments = ocp.args.PyTreeRestore(restore_args=as_numpy)
    else:
        check_same(folder, {"params": abstract}, {"params": _described(metadata)})
        arguments = ocp.args.PyTreeRestore(
            item=abstract, restore_args=ocp.checkpoint_utils.construct_restore_args(abstract)
        )
    try:
        with ocp.Checkpointer(ocp.PyTreeCheckpointHandler()) as reader:
            params = reader.restore(folder / "params", args=arguments)
    except Exception as error:
        raise UserError(f"{folder}: damaged, cannot be read ({first_line(error)})") from error
    checked = check_arrays(params, hashed=noted is not None)
    if fault := fault_of("params", checked, None if noted is None else noted.get("params", {})):
        raise UserError(f"{folder}: damaged, {fault}")
    return params


def check_noted(folder: Path, name: str, value: Any) -> None:
    """Raises UserError unless a value as JSON is the one that was saved; see `read_digests`.

    Args:
        folder: a checkpoint or an imported folder.
        name: the item that the value is.
        value: as it was read.
    """
    try:
        noted = read_digests(folder)
    except (ValueError, OSError) as error:
        raise UserError(f"{folder}: damaged, {first_line(error)}") from error
    if noted is not None and noted.get(name) != digest_of_json(value):
        raise UserError(f"{folder}: damaged, its {name} is not what was saved")


def _step_folder(folder: Path, step: int | None) -> Path:
    """The checkpoint that `folder` and `step` mean together."""
    if (folder / "params").is_dir() and step is None:
        return folder
    for candidate in (folder / FOLDER, folder):
        steps = saved_steps(candidate)
        if steps and (step is None or step in steps):
            return candidate / str(steps[-1] if step is None else step)
        if steps:
            raise none_found(candidate, step, steps)
    raise none_found(folder, step, [])


def _described(tree: Tree) -> dict[str, tuple]:
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): (
            tuple(leaf.shape),
            np.dtype(leaf.dtype).name,
        )
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    }


def _text(leaf: tuple | None) -> str:
    return "nothing" if leaf is None else f"{leaf[1]}{list(leaf[0])}"
