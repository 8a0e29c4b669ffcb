"""A choice, and how choices enter a configuration: what is told stays."""

import itertools
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import ml_collections

from surgvista_jax.errors import UserError
from surgvista_jax.tasks.beginning import say
from surgvista_jax.training.rundir import begun_config

_LONGEST_LINE = 150
CHOOSE = "choose"  # the key by which a configuration asks for choices


class Choice(NamedTuple):
    """A value for a key, such as "clip.stride", and why, in words."""

    key: str
    value: Any
    reason: str


class Choosing:
    """A configuration that is being completed.

    Attributes:
        config: so far.

    Args:
        config: with `choose` set.
        told: keys that the user says: they, and groups of which they say one, are not replaced
            as a whole.
    """

    def __init__(self, config: ml_collections.ConfigDict, told: Collection[str]):
        self.config = config.copy_and_resolve_references().unlock()
        self.config[CHOOSE] = False
        self._said: list[tuple[str, str]] = []
        self._told = frozenset(told)

    def is_told(self, key: str) -> bool:
        """Whether the user says this key, or one of the group that it is."""
        return any(told == key or told.startswith(f"{key}.") for told in self._told)

    def take(self, choices: Iterable[Choice]) -> None:
        """Takes choices, in order, but for what is told."""
        for key, value, reason in choices:
            *parents, name = key.split(".")
            node = self.config
            for parent in parents:
                if node is None:
                    break
                node = node[parent]
            if node is None:  # a group that was told to be none
                continue
            if self.is_told(key):
                shown = "as you say" if key in self._told else "with what you say of it"
                self._said.append((key, shown))
                continue
            with node.ignore_type():
                node[name] = value
            self._said.append((f"{key} = {_shown(value)}", reason))

    @property
    def lines(self) -> list[str]:
        """What was chosen and why; neighbours of one reason share a line."""
        lines = []
        for reason, same in itertools.groupby(self._said, key=lambda said: said[1]):
            told = ""
            for what, _ in same:
                longer = f"{told}, {what}" if told else what
                if told and len(longer) + len(reason) > _LONGEST_LINE:
                    lines.append(f"{told}: {reason}")
                    longer = what
                told = longer
            lines.append(f"{told}: {reason}")
        return lines


def begun_choices(
    config: ml_collections.ConfigDict, told: Collection[str], workdir: Path | None
) -> ml_collections.ConfigDict | None:
    """The configuration with the values that a run in a folder began with; None where none did.

    What is told of the command line stays, for whoever compares the two to judge.
    """
    begun = None
    if workdir is not None:
        folders = [workdir, *sorted(workdir.glob("seed*"))]
        begun = next(filter(None, map(begun_config, folders)), None)
    if begun is None:
        return None
    kept = config.copy_and_resolve_references().unlock()
    several = {key: config[key] for key in ("seed", "seeds") if key in config}
    _keep(kept, {**begun, **several}, frozenset(told), "")
    kept = with_one_length(kept, told)
    kept[CHOOSE] = False
    return kept


def with_one_length(
    config: ml_collections.ConfigDict, told: Collection[str]
) -> ml_collections.ConfigDict:
    """The configuration, unlocked, without epochs where steps alone are told, and the reverse."""
    found = config.copy_and_resolve_references().unlock()
    lengths = ("steps", "epochs")
    said = [name for name in lengths if f"budget.{name}" in told]
    if len(said) == 1:
        with found.budget.ignore_type():
            found.budget[lengths[1 - lengths.index(said[0])]] = None
    return found


def _keep(
    node: ml_collections.ConfigDict, begun: Mapping[str, Any], told: frozenset[str], prefix: str
) -> None:
    for name, value in begun.items():
        key = f"{prefix}{name}"
        if key in told:
            continue
        current = node.get(name)
        if isinstance(value, Mapping) and isinstance(current, ml_collections.ConfigDict):
            _keep(current, value, told, f"{key}.")
            continue
        with node.ignore_type():
            node[name] = value


def tell(choosing: Choosing) -> None:
    """Says each choice with its reason, once for all processes."""
    for line in choosing.lines:
        say(f"chosen: {line}")


def refuse_choices(config: ml_collections.ConfigDict, spec: str) -> None:
    """Raises UserError where a program cannot choose, as it has no data or not the device."""
    if config[CHOOSE]:
        raise UserError(
            f"--config={spec}: chooses by data and device where a run starts: write what it chooses"
            " to a file by --print-config of pretrain or finetune, and take that"
        )


def _shown(value: Any) -> str:
    if isinstance(value, ml_collections.ConfigDict | Mapping):
        return "{" + ", ".join(f"{k} {_shown(v)}" for k, v in dict(value).items()) + "}"
    return f"{value:g}" if isinstance(value, float) else str(value).lower() or '""'
