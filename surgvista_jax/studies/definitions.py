"""What decides what a run makes, by which a study tells what is stale."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from surgvista_jax.training.agreement import belongs, flat

_SHOWN = 3  # differing keys that a line names


@dataclass(frozen=True)
class Definition:
    """What decides what a run makes.

    Attributes:
        values: names and JSON values; not how fast it is computed, nor where data lie. Weights are
            what `Contents` gives: they are the same at another place.
    """

    values: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 (hex), in which a key without a value is as one that is not there."""
        given = {key: _content(value) for key, value in self.values.items() if value is not None}
        text = json.dumps(given, sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()

    def is_written(self, before: Mapping[str, Any]) -> bool:
        """Whether the values `before` are these, the places of weights included."""
        return self._as_read() == before

    def _as_read(self) -> dict[str, Any]:
        return json.loads(json.dumps(self.values, default=str))

    def differences(self, before: Mapping[str, Any]) -> str:
        """What was otherwise in the values `before`, in words; "" where nothing was."""
        now = self._as_read()
        names = sorted(now.keys() | before.keys())
        other = [name for name in names if not _same(now.get(name), before.get(name))]
        said = [_change(name, before.get(name), now.get(name)) for name in other[:_SHOWN]]
        more = [f"and {len(other) - _SHOWN} more"] if len(other) > _SHOWN else []
        return "; ".join(said + more)


def definition(
    command: str,
    config: Mapping[str, Any],
    changes: Mapping[str, Any],
    needs: Mapping[str, Any],
    free: Sequence[str],
) -> Definition:
    """The definition of a run.

    Args:
        command: that makes it.
        config: the keys and values of its file, nested.
        changes: dotted keys and the values that replace them.
        needs: what it is made from: names, and their digests, or weights as `Contents` gives them.
        free: keys, or groups of them, that decide nothing of what it makes.
    """
    values = changed(config, changes)
    decisive = {key: value for key, value in values.items() if not belongs(key, free)}
    made_from = {f"from {name}": digest for name, digest in needs.items()}
    return Definition({"command": command, **decisive, **made_from})


def changed(config: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The keys of a nested configuration, flat; `changes` replace some, or groups of them."""
    kept = {key: value for key, value in flat(config).items() if not belongs(key, tuple(changes))}
    return {**kept, **changes}


def _same(one: Any, other: Any) -> bool:
    """Whether two values are the same; of weights the content decides, if both are known."""
    if _is_weights(one) and _is_weights(other):
        return _content(one) == _content(other)
    return _place(one) == _place(other)


def _is_weights(value: Any) -> bool:
    return isinstance(value, Mapping) and {"at", "sha256"} <= value.keys()


def _content(value: Any) -> Any:
    """Weights without their place; any other value as it is."""
    return {k: v for k, v in value.items() if k != "at"} if _is_weights(value) else value


def _place(value: Any) -> Any:
    return value["at"] if _is_weights(value) else value


def _change(key: str, before: Any, now: Any) -> str:
    if key.startswith("from ") and before is not None and now is not None:
        return f"{key.removeprefix('from ')} is another one"
    return f"{key} was {before!r}, is {now!r}"
