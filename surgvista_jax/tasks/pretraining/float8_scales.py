"""What goes into the teacher's products, for 8-bit floats: found once, on real frames, and kept.

Mean and size of the inputs of each product scale them (`models.float8`); other scales would be
another teacher, so that they lie in the run's folder.
"""

import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from flax import traverse_util
from jax.sharding import Mesh

from surgvista_jax.archives import UNREADABLE, check_members
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.errors import UserError
from surgvista_jax.models import float8
from surgvista_jax.models.image_vit import TeacherConfig
from surgvista_jax.ownership import Ownership
from surgvista_jax.tasks.pretraining.reconstruction import figure_batch
from surgvista_jax.tasks.pretraining.task import Pretraining
from surgvista_jax.training.partition import replicated
from surgvista_jax.training.processes import on_all_processes
from surgvista_jax.training.run import Loaded
from surgvista_jax.training.state import abstract_sharded, create_filled
from surgvista_jax.writing import replacing

FILE = "teacher_float8.npz"
_KEY = "config.teacher.precision=float8"
_CLIPS = 16  # that are looked at, spread evenly over the dataset
_SOURCE = "source"  # beside the scales: what they were found on
_FORM = 2  # of what is rounded; with each other one the same scales are another teacher

# As XLA calls them, and how many a block has: query, key, value, output, up, down.
_PRODUCT, _PRODUCTS = "__cublas$lt$matmul$f8", 6


def multiplies_float8(teacher: TeacherConfig | None) -> bool:
    """Whether a teacher's products are those of 8-bit floats."""
    return teacher is not None and teacher.is_float8


def check_program(text: str, blocks: int) -> None:
    """Raises UserError for a compiled step whose products are not those of 8-bit floats.

    XLA finds them by their form; what it does not find it computes in bfloat16 without a word.

    Args:
        text: the program's.
        blocks: of the teacher that it holds; 1 in a loop.
    """
    found, wanted = text.count(f'custom_call_target="{_PRODUCT}"'), _PRODUCTS * blocks
    if found != wanted:
        raise UserError(
            f"{_KEY}: {found} of the compiled step's products are those of 8-bit floats, and not"
            f" the {wanted} of the teacher's blocks: leave it out, or give XLA other options"
        )


def add_scales(
    task: Pretraining,
    loaded: Loaded,
    dataset: Dataset,
    workdir: Path,
    mesh: Mesh,
    owned: Ownership,
    source: Mapping[str, Any],
) -> dict[str, str]:
    """Adds them to the frozen parts of a run whose teacher multiplies 8-bit floats.

    They are those of the run's folder, or are found and written there. All processes call it, on a
    mesh that is set.

    Args:
        source: digests of teacher and data, and whatever else the scales depend on; those that were
            found on something else are found anew.

    Returns:
        What a run has to go on with: their digest; nothing without such a teacher.

    Raises:
        UserError: the devices multiply no such numbers; the folder's file is not of this teacher;
            frames cannot be read.
    """
    if not multiplies_float8(task.config.teacher):
        return {}
    _check_devices(mesh)
    path, described = workdir / FILE, json.dumps({**source, "form": _FORM}, sort_keys=True)
    scales = None
    if on_all_processes(np.array(path.exists())):
        expected = abstract_sharded(task.init_frozen, mesh)[float8.COLLECTION]
        scales = _read(path, expected, described)
    if scales is None:
        scales = _find(task, loaded, dataset, mesh)
        if jax.process_index() == 0:
            content: dict[str, Any] = {**_flat(scales), _SOURCE: np.array(described)}
            with replacing(path, owned) as aside, open(aside, "wb") as file:
                np.savez(file, **content)
            print(f"teacher: scales of 8-bit floats from {_CLIPS} clips: {path}", file=sys.stderr)
    loaded.frozen = {**loaded.frozen, float8.COLLECTION: scales}
    digest = hashlib.sha256()
    for name, leaf in sorted(_flat(scales).items()):
        digest.update(name.encode() + leaf.tobytes())
    return {"scales of the teacher's 8-bit floats": digest.hexdigest()}


def _check_devices(mesh: Mesh) -> None:
    slow = next((device for device in mesh.local_devices if not float8.is_fast_on(device)), None)
    if slow is not None:
        raise UserError(
            f"{_KEY}: {slow.device_kind} does not multiply 8-bit floats; NVIDIA's GPUs do from"
            " Ada and Hopper on. Leave it out: the teacher is computed as the student is"
        )


def _find(task: Pretraining, loaded: Loaded, dataset: Dataset, mesh: Mesh) -> Any:
    everywhere = replicated(mesh)
    batch = figure_batch(dataset, task, clips=_CLIPS, seed=task.config.seed)
    if batch["unreadable"].any():
        raise UserError(f"{_KEY}: frames that it needs for its scales cannot be read")
    frozen = create_filled(task.init_frozen, loaded.frozen, mesh)
    find = jax.jit(task.note_inputs, out_shardings=everywhere)
    scales = jax.device_get(find(frozen, jax.device_put(batch["video"], everywhere)))
    if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(scales)):
        raise UserError(f"{_KEY}: the teacher's numbers are not finite")
    return scales


def _read(path: Path, expected: Mapping[str, Any], source: str) -> dict[str, Any] | None:
    """The scales of a file; None: they were found on something else."""
    shapes = {name: leaf.shape for name, leaf in _flat(expected).items()}
    try:
        check_members(path, shapes)
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            read = {name: np.asarray(file[name]) for name in file.files}
            if str(read.pop(_SOURCE, "")) != source:
                return None
    except UNREADABLE as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    found = {name: leaf.shape for name, leaf in read.items() if leaf.dtype == np.float32}
    if found != shapes or not all(np.isfinite(leaf).all() for leaf in read.values()):
        raise UserError(
            f"{path}: does not hold the scales of this teacher's products. If it was not the run's,"
            " take it away: they are found anew"
        )
    return traverse_util.unflatten_dict(read, sep="/")


def _flat(tree: Any) -> dict[str, Any]:
    return traverse_util.flatten_dict(tree, sep="/")
