"""Checkpoints: complete ones, kept by rule, restored onto any mesh."""

import contextlib
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils
from tqdm import tqdm

from surgvista_jax.errors import UserError
from surgvista_jax.training.checkpoint_config import CheckpointConfig
from surgvista_jax.training.checkpoint_files import (
    FOLDER,
    Tree,
    first_line,
    none_found,
    restore_params,
    saved_steps,
)
from surgvista_jax.training.checkpoint_step import Restored, read_newest
from surgvista_jax.training.digests import ITEM as DIGESTS
from surgvista_jax.training.digests import check_arrays, digest_of_json
from surgvista_jax.training.durations import in_words
from surgvista_jax.training.local_checkpoint import LocalCheckpoints
from surgvista_jax.training.orbax_manager import make_manager
from surgvista_jax.training.quiet_orbax import silence
from surgvista_jax.writing import remove_written, writing_to

__all__ = ["CheckpointConfig", "Checkpoints", "Restored", "restore_params", "save_params"]

_LONG_WAIT = 10.0  # seconds for the checkpoint before, of which is told
_HALF_WRITTEN = ".orbax-checkpoint-tmp*"
# The words that Orbax's and TensorStore's errors, of no common type, carry for a full disk, an
# exhausted quota and a file that would pass the size limit.
_DISK_FULL = ("No space left on device", "Disk quota exceeded", "File too large")


class Checkpoints:
    """The checkpoints of one run, at `<workdir>/checkpoints/<step>/`.

    Each holds the items `params`, `opt_state`, `average` (of runs that keep one), `meta` and
    `digests` of them all. What is not finite is neither saved nor restored.

    Saving is asynchronous: an error in the background is raised by the next `save`, `wait` or
    `close`. Every process must make the same calls. As a context manager it finishes the pending
    save on leaving.
    """

    def __init__(self, folder: str | Path, config: CheckpointConfig):
        self.folder = Path(folder).absolute() / FOLDER
        self.config = config
        silence()
        if jax.process_index() == 0:
            with writing_to(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                for leftover in self.folder.glob(f"*{_HALF_WRITTEN}"):
                    shutil.rmtree(leftover)
        self._manager = make_manager(self.folder, config.max_to_keep, config.keep_every)
        self._saving: int | None = None
        self._told_of_waiting = False
        self._local: LocalCheckpoints | None = None
        if config.local_every:
            self._local = LocalCheckpoints(Path(config.local_folder), self.folder)

    def begun(self) -> bool:
        """Whether there is a checkpoint to go on from, be it a local one."""
        latest = self.latest()
        if self._local is None:
            return latest is not None
        found = latest is not None or bool(self._local.steps(latest))
        if not found:
            self._local.leave()
        return found

    def latest(self) -> int | None:
        """The step of the newest complete checkpoint, None without one."""
        return max(saved_steps(self.folder), default=None)

    def local_due(self, step: int) -> bool:
        """Whether the rule asks for a local checkpoint at `step`."""
        every = self.config.local_every
        return bool(every) and step > 0 and step % every == 0 and not self.due(step)

    def save_local(
        self, step: int, params: Tree, opt_state: Tree, meta: dict, *, average: Tree | None = None
    ) -> None:
        """Starts saving on each machine's own disk; the arrays may be donated on return."""
        assert self._local is not None
        trees = _items(params, opt_state, average)
        noted: dict[str, Any] = {item: self._checked(step, item, trees[item]) for item in trees}
        noted["meta"] = digest_of_json(meta)
        self._local.save(step, trees, meta, noted if self.config.digests else None)

    def due(self, step: int) -> bool:
        """Whether the rule asks for a checkpoint at `step`."""
        return step > 0 and step % self.config.save_every == 0

    def save(
        self,
        step: int,
        params: Tree,
        opt_state: Tree | None,
        meta: dict,
        *,
        average: Tree | None = None,
        force: bool = False,
    ) -> bool:
        """Starts saving if `step` is due or `force`, and returns whether it did.

        The arrays are copied before it returns, so the caller may donate them at once. A step that
        is saved already is left as it is. Without an `opt_state` (None) no run can go on from it.

        Args:
            average: the running mean of the parameters, for runs that keep one.

        Raises:
            UserError: an array is not finite; the disk is full, now or for the save before.
        """
        if not (force or self.due(step)):
            return False
        self._wait_for_the_one_before()
        if step in self._manager.all_steps():
            return False
        trees = _items(params, opt_state, average)
        self._check_free_space(step, trees)
        noted = {item: self._checked(step, item, tree) for item, tree in trees.items()}
        items = {item: ocp.args.StandardSave(tree) for item, tree in trees.items()}
        items["meta"] = ocp.args.JsonSave(meta)
        if self.config.digests:
            items[DIGESTS] = ocp.args.JsonSave({**noted, "meta": digest_of_json(meta)})
        self._saving = step
        with self._disk_errors():
            self._manager.save(step, args=ocp.args.Composite(**items), force=True)
        return True

    def wait(self) -> None:
        """Blocks until the pending save is complete on disk; raises its error, if any."""
        with self._disk_errors():
            self._manager.wait_until_finished()
        saved, self._saving = self._saving, None
        if saved is not None and self._local is not None:
            self._local.drop(saved)

    def _wait_for_the_one_before(self) -> None:
        before, since = self._saving, time.perf_counter()
        self.wait()
        waited = time.perf_counter() - since
        told = self._told_of_waiting or jax.process_index() > 0
        if before is None or waited < _LONG_WAIT or told:
            return
        self._told_of_waiting = True
        text = (
            f"{self.folder}: training waited {in_words(waited)} for the checkpoint of step {before}"
            " to be written, and will for others; a faster disk, or a larger"
            f" config.checkpoint.save_every than {self.config.save_every}, costs less"
        )
        tqdm.write(text, file=sys.stderr)  # above a bar, if there is one

    def restore(
        self,
        params: Tree,
        opt_state: Tree,
        average: Tree | None = None,
        step: int | None = None,
    ) -> Restored:
        """Reads one checkpoint onto the shardings of the abstract trees given.

        A damaged newest checkpoint is named on stderr and set aside as `<step>.damaged`, and the
        next one is read; with `step`, only that one is tried. A newer local one
        comes before them.

        Args:
            params, opt_state, average: trees of `jax.ShapeDtypeStruct` with shardings, or of
                arrays; no average (None) for runs that keep none.
            step: which checkpoint; by default the newest whole one.

        Raises:
            UserError: there is none; it holds other parameters; every one is damaged.
        """
        self.wait()
        trees = _items(params, opt_state, average)
        steps = saved_steps(self.folder)
        if step is None and self._local is not None:
            local = self._local.restore(steps[-1] if steps else None, trees)
            if local is not None:
                return local
        if not steps or (step is not None and step not in steps):
            raise none_found(self.folder, step, steps)
        wanted = steps if step is None else [step]
        return read_newest(self._manager, self.folder, wanted, trees, self.config.digests)

    def close(self) -> None:
        """Finishes the pending save and ends the background threads."""
        try:
            self.wait()
        finally:
            if self._local is not None:
                self._local.close()
            self._manager.close()

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        try:
            self.close()
        except UserError as late:
            if error is None:
                raise
            print(f"surgvista: {late}", file=sys.stderr)  # the first error is the one to raise

    def _checked(self, step: int, item: str, tree: Tree) -> dict[str, str]:
        """The digests of what is about to be saved."""
        checked = check_arrays(tree, hashed=self.config.digests)
        if checked.infinite:
            raise UserError(
                f"{self.folder}: step {step} is not saved, {item}/{checked.infinite[0]} holds"
                f" numbers that are not finite; {self._last_complete()}"
            )
        return checked.digests

    def _check_free_space(self, step: int, trees: dict[str, Any]) -> None:
        needed = sum(leaf.nbytes for leaf in jax.tree.leaves(trees))
        free = shutil.disk_usage(self.folder).free
        enough = np.array(free >= needed)
        if jax.process_count() > 1:  # all raise or none, or the others would wait for ever
            enough = multihost_utils.process_allgather(enough).all()
        if not enough:
            raise UserError(
                f"{self.folder}: disk full; step {step} needs {needed / 2**20:.0f} MiB, free are"
                f" {free / 2**20:.0f} MiB; {self._last_complete()}"
            )

    def _last_complete(self) -> str:
        latest = self.latest()
        if latest is None:
            return "there is no complete checkpoint"
        return f"last complete checkpoint is step {latest}"

    @contextlib.contextmanager
    def _disk_errors(self) -> Iterator[None]:
        """Makes a full disk or lost folder, met by a save, a UserError, and frees what it took."""
        try:
            yield
        except Exception as error:  # TensorStore raises ValueError here, Python's files OSError
            reason = next((words for words in _DISK_FULL if words in str(error)), None)
            step, self._saving = self._saving, None
            if jax.process_index() == 0:
                for unfinished in self.folder.glob(f"{step}{_HALF_WRITTEN}"):
                    remove_written(unfinished)
            if reason is None and not (isinstance(error, OSError) or "local file" in str(error)):
                raise
            why = f"disk full ({reason})" if reason else f"cannot be written ({first_line(error)})"
            said = f"{self.folder}: {why} while saving step {step}; {self._last_complete()}"
            raise UserError(said) from error


def _items(params: Tree, opt_state: Tree | None, average: Tree | None) -> dict[str, Tree]:
    trees = {"params": params, "opt_state": opt_state, "average": average}
    return {item: tree for item, tree in trees.items() if tree is not None}


def save_params(folder: str | Path, step: int, params: Tree, meta: dict, *, keep: int = 1) -> None:
    """Saves parameters alone below `folder`, complete on return; the newest `keep` steps stay.

    All processes call it. Raises UserError when the disk is full.
    """
    with Checkpoints(folder, CheckpointConfig(save_every=1, max_to_keep=keep)) as checkpoints:
        checkpoints.save(step, params, None, meta, force=True)
