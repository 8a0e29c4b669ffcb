"""The plan of the parts of one command in one folder: what is divided, as the first one noted it.

FOLDER/.surgvista_parts/data-convert/plan.json
"""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from surgvista_jax import __version__
from surgvista_jax.books import check_place
from surgvista_jax.errors import UserError
from surgvista_jax.json_object import read_object
from surgvista_jax.writing import CannotWrite, write_json

FOLDER = ".surgvista_parts"
PLAN = "plan.json"
_KEYS = {"version", "command", "of", "words", "options", "facts", "items"}

Item = tuple[str, int]  # a video's id, or a shard's name, and its size


def place_of(out: Path, command: str) -> Path:
    """Where the parts of a command lie in the folder that it writes to."""
    return out / FOLDER / command.replace(" ", "-")


def read_plan(out: Path, command: str) -> dict[str, Any] | None:
    """The plan of the parts of a command that are begun in a folder; None where none are.

    Raises:
        UserError: the file is damaged, or not ours.
    """
    path = place_of(out, command) / PLAN
    check_place(path)
    if not path.exists():
        return None
    plan = read_object(path)
    if plan.keys() != _KEYS:
        raise UserError(f"{path}: not a plan of parts; to begin anew, remove {path.parent}")
    return plan


def write_plan(out: Path, command: str, plan: Mapping[str, Any]) -> None:
    """Writes a plan, where another process has not written one.

    Args:
        out: the folder.
        command: its words.
        plan: the keys but for version and command.

    Raises:
        CannotWrite: it cannot be written.
    """
    path = place_of(out, command) / PLAN
    if path.exists():
        return
    try:
        write_json(path, {"version": __version__, "command": command, **plan}, _new_alone)
    except (_ComeMeanwhile, CannotWrite):
        if not path.exists():
            raise


def refuse_begun(out: Path, command: str) -> None:
    """Refuses to do as a whole what is begun in parts. Raises UserError."""
    if (plan := read_plan(out, command)) is not None:
        raise UserError(
            f"{out}: is being made in {plan['of']} parts: go on with --part I/{plan['of']}, then"
            f" `surgvista merge {out}`; to begin anew, remove {place_of(out, command)}"
        )


def differing(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What differs, in words; "" where nothing does."""
    keys = [*now, *(key for key in before if key not in now)]
    return ", ".join(
        f"{key.replace('_', '-')} was {before.get(key)} and is {now.get(key)}"
        for key in keys
        if before.get(key) != now.get(key)
    )


def changed(before: Sequence[Sequence], now: Sequence[Item]) -> str:
    """The first thing in which the items differ from those of the plan, in words."""
    old, new = {name: size for name, size in before}, dict(now)
    for name, size in new.items():
        if name not in old:
            return f"{name} was not there"
        if old[name] != size:
            return f"{name} was of another size ({old[name]:,}, now {size:,})"
    gone = [name for name in old if name not in new]
    return f"{gone[0]} was there" if gone else "they came in another order"


class _ComeMeanwhile(Exception):
    """Another process wrote the plan first."""


def _new_alone(path: Path, aside: Path) -> None:
    """A guard of `writing`: nothing that is there is replaced."""
    if os.path.lexists(path):
        raise _ComeMeanwhile
