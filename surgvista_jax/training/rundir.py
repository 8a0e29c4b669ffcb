"""The owner of a run's folder: `config.json`, written once and compared at every later start."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import ml_collections

from surgvista_jax.config import with_defaults
from surgvista_jax.config.printing import ENDED
from surgvista_jax.errors import UserError
from surgvista_jax.json_object import read_object
from surgvista_jax.ownership import Ownership
from surgvista_jax.training.agreement import belongs, flat
from surgvista_jax.training.digests import digest_of_json
from surgvista_jax.training.longer import Length, NewLength, new_length
from surgvista_jax.training.processes import agree_on_file
from surgvista_jax.training.run_files import CONFIG, KIND, check_run, ownership
from surgvista_jax.training.writers import FIGURES
from surgvista_jax.writing import clear_asides, write_json, writing_to

# In a checkpoint's meta: `described_digest` of the `config.json` that it belongs to.
DESCRIBED = "described"
_SHOWN = 8  # differing keys that a message names


def claim(
    workdir: Path,
    config: ml_collections.ConfigDict,
    cls: type,
    kind: str,
    free_keys: Sequence[str],
    owned: Ownership | None = None,
    files: Sequence[str] = (),
    length: Length | None = None,
) -> NewLength | None:
    """Makes a run folder of this configuration, or checks that it is one.

    A folder whose run has left neither a checkpoint nor a line of metrics is taken over. What
    killed writers left in the folder is removed, also where the run goes on.

    Args:
        workdir: the run's folder.
        config: the configuration of the run that starts.
        cls: its dataclass; keys that an earlier version did not write have its defaults.
        kind: what it trains: "pretraining", "finetuning" or "temporal".
        free_keys: keys, or groups of them, in which a continued run may differ.
        owned: from `run_files.ownership`; None: what no run has written is not replaced.
        files: names of files that the run will write as a whole in its folder.
        length: says how long runs are, for one whose length is to change; None: it cannot.

    Returns:
        Its new length; None where that does not change.

    Raises:
        UserError: the folder holds the run of another configuration, or what no run has written in
            the place of this one's files; it cannot be written.
    """
    path = workdir / CONFIG
    if (workdir / "dataset.json").exists():
        raise UserError(f"{workdir}: is a dataset folder; take another --workdir")
    goes_on = path.exists() and _has_begun(workdir)
    changed, ended = None, None
    if goes_on:
        begun = read_config(workdir)
        if begun.kind != kind:
            raise UserError(
                f"{path}: a run of another kind lives here ({begun.kind}, now {kind}); take another"
                " --workdir"
            )
        old, new = (flat(with_defaults(x, cls)) for x in (begun.values, config.to_dict()))
        keys = [
            key
            for key in sorted(old.keys() | new.keys())
            if old.get(key) != new.get(key) and not belongs(key, free_keys)
        ]
        differing = [f"{key} was {old.get(key)!r}, is {new.get(key)!r}" for key in keys]
        if differing and length is not None and set(keys) <= set(length.keys):
            changed = new_length(workdir, begun.values, config.to_dict(), length, begun.ended)
            ended = changed and changed.ended
        elif differing:
            more = f"; and {len(differing) - _SHOWN} more" if len(differing) > _SHOWN else ""
            raise UserError(
                f"{path}: a run of another configuration lives here: "
                + "; ".join(differing[:_SHOWN])
                + more
                + "; take another --workdir"
            )
    owned = owned or ownership(workdir, overwrite=False)
    replaced = check_run(owned, files)
    if jax.process_index() == 0:
        with writing_to(workdir):
            for grown in replaced:
                grown.unlink()
        for folder in (workdir, workdir / FIGURES):
            clear_asides(folder)
        if not goes_on or changed is not None:
            notes = {KIND: kind} if ended is None else {KIND: kind, ENDED: ended}
            write_json(path, {**notes, **config.to_dict()}, owned)
    agree_on_file(path)
    return changed


def _has_begun(workdir: Path) -> bool:
    """Whether a run got so far in this folder that there is something to lose."""
    for name in ("metrics.jsonl", "evaluations.jsonl"):
        if (workdir / name).exists() and (workdir / name).stat().st_size:
            return True
    return any((workdir / "checkpoints").glob("[0-9]*"))


class Begun(NamedTuple):
    """What `config.json` says of a run.

    Attributes:
        kind: "pretraining", "finetuning" or "temporal".
        values: its configuration, as nested dicts.
        ended: after how many updates it had come to an end before it was made longer; None where
            it was not.
    """

    kind: str
    values: dict[str, Any]
    ended: int | None = None


def begun_config(workdir: Path) -> dict[str, Any] | None:
    """The configuration of the run that would go on in a folder; None where none would."""
    if not (workdir / CONFIG).exists() or not _has_begun(workdir):
        return None
    return read_config(workdir).values


def read_config(workdir: Path) -> Begun:
    """The kind and the configuration of the run in a folder."""
    path = workdir / CONFIG
    if not path.exists():
        raise UserError(f"{path}: there is no run in this folder")
    values = read_object(path)
    kind, ended = values.pop(KIND, None), values.pop(ENDED, None)
    if ended is not None and (isinstance(ended, bool) or not isinstance(ended, int)):
        raise UserError(f"{path}: {ENDED} {ended!r}: should be a whole number")
    return Begun(kind or _kind_by_keys(values), values, ended)


def described_digest(values: Mapping[str, Any]) -> str:
    """The digest of what only `config.json`, these values, says of parameters: model and clips."""
    return digest_of_json({key: values.get(key) for key in ("model", "clip")})


def _kind_by_keys(values: dict[str, Any]) -> str:
    """The kind of a run whose version did not write it down."""
    if "mask" in values:
        return "pretraining"
    return "temporal" if values.get("mode") == "temporal" else "finetuning"
