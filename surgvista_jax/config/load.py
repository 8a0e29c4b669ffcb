"""A run's configuration: a file, its defaults and what the command line replaces."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import ml_collections

from surgvista_jax.config.code import find_config, run_config
from surgvista_jax.config.data import complete, is_data, keys_of, read_data
from surgvista_jax.config.overrides import apply_override
from surgvista_jax.config.parts import check_keys, fill_defaults, mappings_in
from surgvista_jax.config.printing import ENDED, KIND
from surgvista_jax.errors import UserError


def load_config(
    spec: str,
    cls: type | Callable[[Mapping], type],
    overrides: Sequence[str] = (),
    kinds: Collection[str] = (),
) -> ml_collections.ConfigDict:
    """Takes the configuration of a file, fills in what it leaves open, and applies overrides.

    Args:
        spec: "FILE.py" or "FILE.py:ARGUMENT", of which `get_config` is run, and the argument goes
            to it; or "FILE.json" or "FILE.toml", in which nothing runs.
        cls: the dataclass that the configuration is for, whose defaults are filled in; or a
            function from the configuration to its dataclass.
        overrides: words such as "--config.budget.steps=10", in order.
        kinds: the kinds of run that a file of data may be of, where it says one.

    Returns:
        A locked ConfigDict with every key of `cls`.

    Raises:
        UserError: there is no such file, it gives no configuration, or an override does not fit.
    """
    path, _, argument = spec.partition(":")
    file = find_config(path)
    if is_data(file):
        config = _config_of_data(file, argument, cls, kinds)
    else:
        config = run_config(file, argument)
    whole = cls if isinstance(cls, type) else cls(config)
    fill_defaults(config, whole)
    mappings = mappings_in(whole) if overrides else ()
    for word in overrides:
        apply_override(config, word, mappings)
    return config.lock()


def with_defaults(values: Mapping[str, Any], cls: type) -> dict[str, Any]:
    """A configuration that an earlier version wrote, with defaults for keys that are newer."""
    config = ml_collections.ConfigDict(values)
    fill_defaults(config, cls)
    return config.to_dict()


def told_keys(overrides: Sequence[str], spec: str = "") -> frozenset[str]:
    """The keys that a user says: "--config.clip.size=64" -> "clip.size"; all of a file of data."""
    words = {word.removeprefix("--config.").partition("=")[0] for word in overrides}
    file = Path(spec.partition(":")[0])
    return frozenset(words | keys_of(read_data(find_config(str(file)))) if is_data(file) else words)


def _config_of_data(
    file: Path, argument: str, cls: type | Callable[[Mapping], type], kinds: Collection[str]
) -> ml_collections.ConfigDict:
    if argument:
        raise UserError(f"--config={file}:{argument}: only a Python file takes an argument")
    values = read_data(file)
    kind, _ = values.pop(KIND, None), values.pop(ENDED, None)
    if kind is not None and kinds and kind not in kinds:
        raise UserError(
            f"--config={file}: is of a run of another kind ({kind!r}, not {' or '.join(kinds)})"
        )
    whole = cls if isinstance(cls, type) else cls(values)
    check_keys(values, whole, f"--config={file}: config")
    return ml_collections.ConfigDict(complete(values, whole))
