"""Checkpoints on each machine's own disk, between those on the disk that all share.

Each process writes what its own devices hold, and nothing goes over a network. They serve the next
start of the same processes on the same machines; whatever is lacking then, the run goes on from its
newest checkpoint on the shared disk.
"""

import contextlib
import hashlib
import json
import re
import secrets
import sys
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from surgvista_jax.errors import UserError
from surgvista_jax.json_object import read_object
from surgvista_jax.training.checkpoint_files import Tree, first_line
from surgvista_jax.training.checkpoint_step import Restored, difference
from surgvista_jax.training.digests import ITEM as DIGESTS
from surgvista_jax.training.processes import on_all_processes
from surgvista_jax.writing import clear_asides, replacing, write_json

NOTE = "local.json"  # beside the shared checkpoints: whose local ones count
_ABOUT = "about"  # in a file's header
_KEPT = 2  # a kill may come when only some of the processes have written the newest
_FORM = re.compile(r"(\d+)\.(\d+)of(\d+)\.safetensors")


class LocalCheckpoints:
    """The local checkpoints of one run. Every process makes the same calls, but for `drop`.

    A checkpoint counts for the course of the run that wrote it: once the run has gone on from the
    shared disk instead, later steps that lie on a machine are of a course that was left.

    Args:
        folder: on each machine; a folder in it is this run's.
        shared: of the run's checkpoints on the shared disk.
    """

    def __init__(self, folder: Path, shared: Path):
        name = hashlib.sha256(str(shared).encode()).hexdigest()[:12]
        self.folder = folder.absolute() / f"surgvista-{name}"
        self._note = shared / NOTE
        self._course = b""  # 8 bytes by which its checkpoints are known; none before the first
        self._process = f"{jax.process_index()}of{jax.process_count()}"
        self._pool = ThreadPoolExecutor(1, "local checkpoint")
        self._writing: Future[None] | None = None
        self._has_failed = False
        if self.folder.is_dir():
            clear_asides(self.folder)

    def save(self, step: int, trees: Mapping[str, Tree], meta: dict, digests: Any) -> None:
        """Copies what this process holds, and writes it in a thread.

        One that cannot be written is a warning: the run has its shared ones.

        Args:
            trees: item -> tree of arrays, which may be donated on return.
            digests: of them all and of `meta`; None where none are taken.
        """
        self.wait()
        if not self._course:
            self._begin()
        arrays = {
            f"{item}/{path}/{start}": np.array(part, copy=True).reshape(-1).view(np.uint8)
            for item, tree in trees.items()
            for path, leaf in _leaves(tree)
            for start, part in _parts(leaf).items()
        }
        about = {"course": self._course.hex(), "meta": meta, DIGESTS: digests}
        self._writing = self._pool.submit(self._write, step, arrays, json.dumps(about))

    def wait(self) -> None:
        """Blocks until what is being written is on the disk."""
        writing, self._writing = self._writing, None
        if writing is None:
            return
        try:
            writing.result()
        except (UserError, OSError, SafetensorError) as error:
            if not self._has_failed:
                print(f"WARNING: no local checkpoint: {first_line(error)}", file=sys.stderr)
            self._has_failed = True

    def steps(self, after: int | None) -> list[int]:
        """Steps that every process has, the newest first.

        Args:
            after: that of the newest shared checkpoint, up to which they are of no use.
        """
        self._course = self._noted_course()
        own = [step for step in self._own() if step > (after or 0) and self._is_of_course(step)]
        told = np.array([*sorted(own)[-_KEPT:], *[-1] * _KEPT][:_KEPT], np.int32)
        everywhere = told[None]
        if jax.process_count() > 1:
            everywhere = multihost_utils.process_allgather(told)
        common = set.intersection(*(set(map(int, row)) for row in everywhere)) - {-1}
        return sorted(common, reverse=True)

    def restore(self, after: int | None, trees: Mapping[str, Tree]) -> Restored | None:
        """The newest that is whole on every process, or None: then those there are count no more.

        Args:
            after: see `steps`.
            trees: item -> tree of `jax.ShapeDtypeStruct` with shardings.
        """
        faults = []
        for step in self.steps(after):
            restored, noted, fault = self._read(step, trees)
            everywhere = on_all_processes(np.array(restored is not None)).all()
            if restored is not None and everywhere:
                fault = difference(restored, trees, noted)
                everywhere = on_all_processes(np.array(not fault)).all()
            if restored is not None and everywhere:
                if jax.process_index() == 0:
                    newer = f"step {after} of the shared ones" if after else "any shared one"
                    print(f"{self.folder}: step {step} is newer than {newer}", file=sys.stderr)
                return restored
            faults.append(f"step {step}: {fault or 'not whole on another process'}")
        if faults and jax.process_index() == 0:
            print(f"WARNING: {self.folder}: {'; '.join(faults)}; left alone", file=sys.stderr)
        self.leave()
        return None

    def leave(self) -> None:
        """Those that there are count no more: the run goes another course from here."""
        self._course = b""
        if jax.process_index() == 0:
            self._note.unlink(missing_ok=True)

    def drop(self, upto: int) -> None:
        """Removes this process's own up to a step that the shared disk has."""
        self.wait()
        for step in self._own():
            if step <= upto:
                self._path(step).unlink(missing_ok=True)

    def close(self) -> None:
        """Finishes what is being written."""
        self.wait()
        self._pool.shutdown()

    def _path(self, step: int) -> Path:
        return self.folder / f"{step}.{self._process}.safetensors"

    def _own(self) -> list[int]:
        """Steps of which this process, of as many, has written its part."""
        found = map(_FORM.fullmatch, (path.name for path in self.folder.glob("*.safetensors")))
        return [int(form[1]) for form in found if form and f"{form[2]}of{form[3]}" == self._process]

    def _write(self, step: int, arrays: dict[str, np.ndarray], about: str) -> None:
        with replacing(self._path(step)) as aside:
            save_file(arrays, aside, {_ABOUT: about})
        others = [other for other in self._own() if other != step]
        kept = sorted(filter(self._is_of_course, others))[1 - _KEPT :]
        for other in set(others) - set(kept):
            with contextlib.suppress(OSError):
                self._path(other).unlink()

    def _begin(self) -> None:
        """Begins a course of which nothing is written yet."""
        if jax.process_index() == 0:
            self._course = secrets.token_bytes(8)
            write_json(self._note, {"course": self._course.hex()})
        self._course = self._of_first(self._course)

    def _noted_course(self) -> bytes:
        """That of the checkpoints that count; b"" where there is none."""
        course = b""
        if jax.process_index() == 0 and self._note.is_file():
            with contextlib.suppress(UserError, ValueError, TypeError):
                course = bytes.fromhex(read_object(self._note)["course"])
        return self._of_first(course)

    def _of_first(self, course: bytes) -> bytes:
        """What process 0 says, on all."""
        if jax.process_count() == 1:
            return course
        words = np.frombuffer(course.ljust(8, b"\0")[:8], np.uint32)
        told = np.asarray(multihost_utils.broadcast_one_to_all(words)).tobytes()
        return told if any(told) else b""

    def _is_of_course(self, step: int) -> bool:
        try:
            return bool(self._course) and self._about(step)["course"] == self._course.hex()
        except (ValueError, KeyError, TypeError, OSError, SafetensorError):
            return False

    def _about(self, step: int) -> dict[str, Any]:
        with safe_open(self._path(step), framework="numpy") as file:
            about: dict[str, Any] = json.loads(file.metadata()[_ABOUT])
        return about

    def _read(
        self, step: int, trees: Mapping[str, Tree]
    ) -> tuple[Restored | None, Mapping[str, Any] | None, str]:
        """What this process has on its disk, placed on its devices; or None and why."""
        try:
            about = self._about(step)
            with safe_open(self._path(step), framework="numpy") as file:

                def placed(item: str, path: str, leaf: jax.ShapeDtypeStruct) -> jax.Array:
                    def part(index: tuple[slice, ...] | None) -> np.ndarray:
                        assert index is not None  # every device of the mesh has a part
                        raw = file.get_tensor(f"{item}/{path}/{_start(index)}")
                        shape = leaf.sharding.shard_shape(leaf.shape)
                        return raw.view(leaf.dtype).reshape(shape)

                    return jax.make_array_from_callback(leaf.shape, leaf.sharding, part)

                read = {
                    item: jax.tree.unflatten(
                        jax.tree.structure(tree),
                        [placed(item, path, leaf) for path, leaf in _leaves(tree)],
                    )
                    for item, tree in trees.items()
                }
            restored = Restored(
                step, read["params"], read["opt_state"], read.get("average"), about["meta"]
            )
        except Exception as error:  # of a damaged file, or of another mesh; no common type
            return None, None, first_line(error)
        return restored, about[DIGESTS], ""


def _leaves(tree: Tree) -> list[tuple[str, Any]]:
    return [
        (jax.tree_util.keystr(path, simple=True, separator="/"), leaf)
        for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
    ]


def _start(index: tuple[slice, ...]) -> str:
    """Where a part of an array begins: "0,128"."""
    return ",".join(str(part.start or 0) for part in index)


def _parts(leaf: jax.Array) -> dict[str, Any]:
    """The different parts of an array that this process holds, by where they begin."""
    return {_start(shard.index): shard.data for shard in leaf.addressable_shards}
