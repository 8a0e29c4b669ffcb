"""One array of a file, and the key of a file under which its arrays lie."""

import dataclasses
import difflib
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.weights.names.prefixes import unwrapped

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
_AVERAGES = frozenset(name for rank in RANKS[1:] for name in rank)
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
    does not hide a model: the first of `RANKS`, else the only branch that may hold weights. Of one
    flat dict, "model.x" and "ema.x" are such branches where the same names stand behind both.

    Args:
        tree: nested dicts with `Stored` among their values.
        path: the file, for the error.
        key: where to look, keys or dotted beginnings of names separated by "/"; "" finds it.

    Raises:
        UserError: there is no such key; several hold weights, and nothing says which are meant.
    """
    tree, nested = _at(tree, key, path)
    passed: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    while True:
        tree = _parted(tree)
        here = sum(isinstance(value, Stored) for value in tree.values())
        counts = {name: _arrays(value) for name, value in tree.items()}
        larger = [name for name, count in counts.items() if count > here]
        if not (inside := _most_likely(larger)):
            beside = [name for name, count in counts.items() if count and name in _AVERAGES]
            passed += tuple(beside)
            others += tuple("/".join((*nested, name)) for name in beside)
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


def _parted(tree: Mapping[str, Any]) -> Mapping[str, Any]:
    """A level with branches for the models that lie in it flat: one and its average, or several.

    "ema.x" is of an average where x is, without the names of wrappers, of something else as well;
    a model may also have a part of that name.
    """
    known = _AVERAGES.union(RANKS[0])
    groups: dict[str, dict[str, Stored]] = {}
    rest: dict[str, Any] = {}
    for name, value in tree.items():
        word, _, after = name.partition(".")
        if after and word in known and isinstance(value, Stored):
            groups.setdefault(word, {})[after] = value
        else:
            rest[name] = value
    names = {word: _plain(group) for word, group in groups.items()} | {"": _plain(rest)}
    for average in groups.keys() & _AVERAGES:
        shared = (len(names[average] & names[word]) for word in names if word != average)
        if 2 * max(shared) > len(names[average]) and not groups.keys() & rest.keys():
            return {**rest, **groups}
    return tree


def _plain(level: Mapping[str, Any]) -> set[str]:
    """The names of the arrays of a level, without those of wrappers."""
    arrays = [name for name, value in level.items() if isinstance(value, Stored)]
    return {unwrapped(name).removeprefix("module.") for name in arrays}


def _at(tree: Mapping[str, Any], key: str, path: Path) -> tuple[Mapping[str, Any], tuple[str, ...]]:
    """What lies at `KEY` of `FILE#KEY`, which is parted as the tree's keys are.

    They may hold a "/" themselves. What is no key may be what stands before the dot of names.
    """
    nested: tuple[str, ...] = ()
    words = key.split("/") if key else []
    while words:
        branches = {str(name): value for name, value in tree.items() if _arrays(value)}
        ends = range(len(words), 0, -1)
        end = next((end for end in ends if "/".join(words[:end]) in branches), 0)
        inside = branches.get("/".join(words[:end])) if end else _behind(tree, words[0])
        if not inside:
            first = dict.fromkeys(name.partition(".")[0] for name in tree if "." in name)
            known = list(branches or first)
            close = difflib.get_close_matches(words[0], known, n=1) or known[:8]
            raise UserError(
                f"{path}: there are no arrays under the key {words[0]!r} of #{key}; there are"
                f" under {', '.join(close) or 'none'}"
            )
        end = end or 1
        nested, words, tree = (*nested, "/".join(words[:end])), words[end:], inside
    return tree, nested


def _behind(tree: Mapping[str, Any], word: str) -> dict[str, Stored]:
    """The arrays whose names begin with a word and a dot, under what follows."""
    start = f"{word}."
    return {
        name.removeprefix(start): value
        for name, value in tree.items()
        if name.startswith(start) and isinstance(value, Stored)
    }


def _arrays(value: Any) -> int:
    """How many arrays a branch holds; an array itself holds none."""
    if not isinstance(value, Mapping):
        return 0
    return sum(1 if isinstance(v, Stored) else _arrays(v) for v in value.values())
