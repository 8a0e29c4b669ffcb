"""Words of the command line that replace values of a configuration."""

import ast
from collections.abc import Collection, Mapping
from typing import Any

import ml_collections

from surgvista_jax.checks import LONGEST_SHOWN, shortened
from surgvista_jax.config.parts import NAMES_AND_VALUES, check_names, suggest
from surgvista_jax.errors import UserError


def apply_override(
    config: ml_collections.ConfigDict, word: str, mappings: Collection[str] = ()
) -> None:
    """Replaces a value as a word like "--config.budget.steps=10" says, in the old one's type.

    Args:
        config: is changed.
        word: see above.
        mappings: keys that hold values by any names: `parts.mappings_in`.
    """
    key, equals, text = word.removeprefix("--config.").partition("=")
    if not equals:
        raise UserError(f"{word}: write --config.{key}=VALUE")
    *parents, name = key.split(".")
    node = config
    for i, parent in enumerate(parents):
        if not isinstance(node, ml_collections.ConfigDict) or parent not in node:
            _unknown_key(node, ".".join(parents[: i + 1]), parent)
        node = node[parent]
    within = ".".join(parents) in mappings
    if not isinstance(node, ml_collections.ConfigDict) or name not in node and not within:
        _unknown_key(node, key, name)
    if key in mappings:
        value = _parse_names(text, key)
    else:
        value = _parse(text, node.get(name, 0.0), key)
    try:
        with node.ignore_type():
            node[name] = value
    except OverflowError:  # a whole number where a float stood
        raise UserError(f"--config.{key}={_shown(text)}: is too large") from None


def _parse_names(text: str, key: str) -> ml_collections.ConfigDict:
    """Reads names with a value each, as Python and JSON write them."""
    try:
        values = ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        said = f"--config.{key}={shortened(text)}: should be {NAMES_AND_VALUES}"
        raise UserError(said) from None
    check_names(values, f"--config.{key}")
    return ml_collections.ConfigDict(values)


def _unknown_key(node: Any, key: str, name: str) -> None:
    if not isinstance(node, Mapping | ml_collections.ConfigDict):
        raise UserError(f"--config.{key}: there is no such key")
    raise UserError(f"--config.{key}: unknown key; {suggest(name, list(node))}")


def _parse(text: str, old: Any, key: str) -> Any:
    """Reads an override's text as a value of the old value's type."""
    if isinstance(old, str):  # of which some may be "none"
        return text
    if text.lower() == "none":
        return None
    if isinstance(old, ml_collections.ConfigDict):
        raise UserError(
            f"--config.{key}={text}: this is a group of keys; only =none can replace it"
        )
    if isinstance(old, bool) or text.lower() in ("true", "false"):
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise UserError(f"--config.{key}={text}: should be true or false")
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        if old is None:
            return text
        kind = type(old).__name__
        raise UserError(
            f"--config.{key}={_shown(text)}: should be of type {kind}, as {old!r} is"
        ) from None


def _shown(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
