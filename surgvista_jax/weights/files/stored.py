"""One array of a file, and the key of a file under which its arrays lie."""

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from surgvista_jax.errors import UserError

# Keys under which programs put the weights beside optimiser states and arguments; the second line
# is VISSL's. Averages of the weights (`model_ema`) are not among them: programs keep them beside
# `model`, and it is `model` that they load again to finetune.
NESTED = (
    *("model", "module", "state_dict", "model_state"),
    *("classy_state_dict", "base_model", "trunk"),
)


@dataclasses.dataclass(frozen=True)
class Stored:
    """One array of a file.

    Attributes:
        shape: its sizes.
        dtype: its type in words, such as "float32".
        read: reads it; half precisions come as float32.
    """

    shape: tuple[int, ...]
    dtype: str
    read: Callable[[], np.ndarray]


def descend(tree: Mapping[str, Any], path: Path) -> tuple[dict, tuple[str, ...], tuple[str, ...]]:
    """The level of a tree that holds the weights.

    A key of `NESTED` is descended into where it holds more arrays than lie beside it, so that a
    stray tensor does not hide a model.

    Args:
        tree: nested dicts with `Stored` among their values.
        path: the file, for the error.

    Returns:
        that level; the keys that lead to it; the keys beside them that hold arrays too and were
        passed over.

    Raises:
        UserError: several keys of `NESTED` hold weights, and nothing says which are meant.
    """
    nested: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    while True:
        here = sum(isinstance(value, Stored) for value in tree.values())
        inside = [key for key in NESTED if key in tree and _arrays(tree[key]) > here]
        if not inside:
            return dict(tree), nested, passed
        if len(inside) > 1:
            raise UserError(
                f"{path}: holds weights under {' and '.join(inside)}, and nothing says which"
                " are meant: save those alone"
            )
        passed += tuple(
            key
            for key, value in tree.items()
            if key != inside[0] and (isinstance(value, Stored) or _arrays(value))
        )
        nested += (inside[0],)
        tree = tree[inside[0]]


def damaged(path: Path, error: Exception) -> UserError:
    """The error for a file whose bytes are damaged."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return UserError(f"{path}: truncated or damaged, cannot be read ({reason[:200]})")


def _arrays(value: Any) -> int:
    """How many arrays a branch holds; an array itself holds none."""
    if not isinstance(value, Mapping):
        return 0
    return sum(1 if isinstance(v, Stored) else _arrays(v) for v in value.values())
