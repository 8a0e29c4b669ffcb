"""One array of a file, and the key of a file under which its arrays lie."""

import dataclasses
import difflib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from surgvista_jax.errors import UserError

# Keys under which programs put the weights beside optimiser states and arguments, those that are
# taken first before others. The second line is VISSL's. Of a student and its moving average, the
# teacher, programs of self-distillation evaluate the teacher. Other averages are kept beside the
# model, and it is the model that is loaded again to finetune.
RANKS = (
    (
        *("model", "module", "state_dict", "model_state", "model_state_dict", "net", "network"),
        *("classy_state_dict", "base_model", "trunk"),
    ),
    ("teacher",),
    ("student",),
    (
        *("model_ema", "ema", "ema_model", "state_dict_ema", "ema_state_dict"),
        *("model_ema_state_dict", "ema_model_state_dict", "model_state_dict_ema"),
    ),
)
_NO_WEIGHTS = re.compile(r".*(optim|sched|scaler|loss|hyper_param|callback|loops|rng).*", re.I)
_DEEPEST = 32  # levels of keys
_MOST = 50_000  # values, each counted wherever it is referred to


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


class Level(NamedTuple):
    """The level of a tree that holds the weights.

    Attributes:
        values: its arrays and what lies beside them.
        nested: the keys that lead to it.
        passed: the keys beside them that hold arrays too and were passed over.
        others: those of `passed` that may be weights as well, as KEY of `FILE#KEY`.
    """

    values: dict
    nested: tuple[str, ...]
    passed: tuple[str, ...]
    others: tuple[str, ...]


def held(array: np.ndarray) -> Stored:
    """An array that lies in memory."""
    return Stored(array.shape, array.dtype.name, lambda: single(array).copy())


def single(array: np.ndarray) -> np.ndarray:
    """Half precisions as float32; everything else as it is."""
    return array.astype(np.float32) if array.dtype == np.float16 else array


def as_tree(value: Any, stored: Callable[[Any, str], Any], path: Path) -> dict:
    """What was unpickled as nested dicts of `Stored` and other values.

    Args:
        value: dicts, lists, tuples and values.
        stored: (value, its key) -> `Stored`, or the value where it is no array.
        path: the file, for the error.

    Raises:
        UserError: the levels have no end, or are too many.
    """
    met = 0

    def made(value: Any, key: str, depth: int) -> Any:
        nonlocal met
        if isinstance(value, (list, tuple)) and any(map(_is_branch, value)):
            value = dict(enumerate(value))
        if not isinstance(value, Mapping):
            return stored(value, key)
        met += len(value)
        if depth == _DEEPEST or met > _MOST:
            raise UserError(
                f"{path}: its keys lie more than {_DEEPEST} deep, or hold themselves; save the"
                " model's state_dict alone"
            )
        return {str(k): made(v, str(k), depth + 1) for k, v in value.items()}

    def _is_branch(value: Any) -> bool:
        return isinstance(value, (Mapping, list, tuple)) or stored(value, "") is not value

    tree = made(value, "", 0)
    return tree if isinstance(tree, dict) else {"": tree}


def descend(tree: Mapping[str, Any], path: Path, key: str = "") -> Level:
    """The level of a tree that holds the weights.

    A branch is descended into where it holds more arrays than lie beside it, so that a stray tensor
    does not hide a model: the first of `RANKS`, else the only branch that may hold weights.

    Args:
        tree: nested dicts with `Stored` among their values.
        path: the file, for the error.
        key: where to look, keys separated by "/"; "" finds it.

    Raises:
        UserError: there is no such key; several hold weights, and nothing says which are meant.
    """
    nested = _keys(tree, key, path)
    for part in nested:
        tree = tree[part]
    passed: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    while True:
        here = sum(isinstance(value, Stored) for value in tree.values())
        counts = {name: _arrays(value) for name, value in tree.items()}
        larger = [name for name, count in counts.items() if count > here]
        if not (inside := _most_likely(larger)):
            return Level(dict(tree), nested, passed, others)
        if len(inside) > 1:
            ways = " or ".join(f"{path.name}#{'/'.join((*nested, name))}" for name in inside)
            raise UserError(
                f"{path}: holds weights under {' and '.join(inside)}, and nothing says which"
                f" are meant: say {ways}"
            )
        for name, value in tree.items():
            if name != inside[0] and (isinstance(value, Stored) or counts[name]):
                passed += (name,)
                if name in larger and not _NO_WEIGHTS.fullmatch(name):
                    others += ("/".join((*nested, name)),)
        nested += (inside[0],)
        tree = tree[inside[0]]


def damaged(path: Path, error: Exception) -> UserError:
    """The error for a file whose bytes are damaged."""
    reason = (str(error).strip() or type(error).__name__).splitlines()[0]
    return UserError(f"{path}: truncated or damaged, cannot be read ({reason[:200]})")


def _most_likely(names: list[str]) -> list[str]:
    """Those of the keys that come first by `RANKS`; keys that are not there come last."""
    for rank in RANKS:
        if found := [name for name in names if name in rank]:
            return found
    return [name for name in names if not _NO_WEIGHTS.fullmatch(name)]


def _keys(tree: Mapping[str, Any], key: str, path: Path) -> tuple[str, ...]:
    """`KEY` of `FILE#KEY`, parted as the tree's keys are, which may hold a "/" themselves."""
    nested: tuple[str, ...] = ()
    words = key.split("/") if key else []
    while words:
        branches = {str(name): value for name, value in tree.items() if _arrays(value)}
        ends = range(len(words), 0, -1)
        end = next((end for end in ends if "/".join(words[:end]) in branches), 0)
        if not end:
            close = difflib.get_close_matches(words[0], branches, n=1)
            known = close or list(branches)[:8]
            raise UserError(
                f"{path}: there are no arrays under the key {words[0]!r} of #{key}; there are"
                f" under {', '.join(known) or 'none'}"
            )
        name = "/".join(words[:end])
        nested, words, tree = (*nested, name), words[end:], tree[name]
    return nested


def _arrays(value: Any) -> int:
    """How many arrays a branch holds; an array itself holds none."""
    if not isinstance(value, Mapping):
        return 0
    return sum(1 if isinstance(v, Stored) else _arrays(v) for v in value.values())
