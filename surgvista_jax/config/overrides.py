"""Words of the command line that replace values of a configuration."""

import ast
from collections.abc import Mapping
from typing import Any

import ml_collections

from surgvista_jax.checks import LONGEST_SHOWN
from surgvista_jax.config.parts import suggest
from surgvista_jax.errors import UserError


def apply_override(config: ml_collections.ConfigDict, word: str) -> None:
    """Replaces a value as a word like "--config.budget.steps=10" says, in the old one's type."""
    key, equals, text = word.removeprefix("--config.").partition("=")
    if not equals:
        raise UserError(f"{word}: write --config.{key}=VALUE")
    *parents, name = key.split(".")
    node = config
    for i, parent in enumerate(parents):
        if not isinstance(node, ml_collections.ConfigDict) or parent not in node:
            _unknown_key(node, ".".join(parents[: i + 1]), parent)
        node = node[parent]
    if not isinstance(node, ml_collections.ConfigDict) or name not in node:
        _unknown_key(node, key, name)
    with node.ignore_type():
        node[name] = _parse(text, node[name], key)


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
        said = text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"
        kind = type(old).__name__
        raise UserError(f"--config.{key}={said}: should be of type {kind}, as {old!r} is") from None
