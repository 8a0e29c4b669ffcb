"""Configurations: a file's `get_config`, overrides, and a dataclass for each part."""

import ast
import contextlib
import dataclasses
import difflib
import importlib.util
import math
import re
import types
import typing
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

import ml_collections

from surgvista_jax.errors import UserError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")


def find_config(path: str) -> Path:
    """The file at `path`, or the one shipped under that name ("configs/…") from any folder."""
    given = Path(path)
    package = Path(__file__).parent
    shipped = [package.parent / given, package / given] if given.parts[:1] == ("configs",) else []
    for candidate in [given, *shipped]:
        if candidate.is_file():
            return candidate
    raise UserError(f"--config={path}: there is no such file")


def load_config(
    spec: str,
    cls: type | Callable[[Mapping], type],
    overrides: Sequence[str] = (),
) -> ml_collections.ConfigDict:
    """Runs `get_config` of a file, fills in what it leaves open, and applies overrides.

    Args:
        spec: "FILE.py" or "FILE.py:ARGUMENT"; the argument goes to `get_config`.
        cls: the dataclass that the configuration is for, whose defaults are filled in; or a
            function from the configuration to its dataclass.
        overrides: words such as "--config.budget.steps=10", in order.

    Returns:
        A locked ConfigDict with every key of `cls`.
    """
    path, _, argument = spec.partition(":")
    config = run_config(find_config(path), argument)
    _fill_defaults(config, cls if isinstance(cls, type) else cls(config))
    for word in overrides:
        _override(config, word)
    return config.lock()


def with_defaults(values: Mapping[str, Any], cls: type) -> dict[str, Any]:
    """A configuration that an earlier version wrote, with defaults for keys that are newer."""
    config = ml_collections.ConfigDict(values)
    _fill_defaults(config, cls)
    return config.to_dict()


def told_keys(overrides: Sequence[str]) -> frozenset[str]:
    """The keys that overrides replace: "--config.clip.size=64" -> "clip.size"."""
    return frozenset(word.removeprefix("--config.").partition("=")[0] for word in overrides)


def run_config(file: Path, argument: str = "") -> ml_collections.ConfigDict:
    """Runs `get_config` of a file; this is also how one configuration starts from another."""
    spec = importlib.util.spec_from_file_location("surgvista_config", file)
    if spec is None or spec.loader is None:
        raise UserError(f"--config={file}: not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "get_config"):
        raise UserError(f"--config={file}: the file defines no function get_config")
    try:
        return module.get_config(argument) if argument else module.get_config()
    except (KeyError, TypeError, ValueError) as error:
        if not argument:
            raise
        about = (module.get_config.__doc__ or "it takes none").strip().split("\n")[0]
        raise UserError(f"--config={file}:{argument}: not an argument of it ({about})") from error


def variant(base: str, file: str, **changes: Any) -> Callable[..., ml_collections.ConfigDict]:
    """The `get_config` of a file that is another file's, argument included, with keys changed.

    Args:
        base: the other file, from the folder of this one.
        file: this one: `__file__`.
        changes: keys of the first level and their values.
    """

    def get_config(argument: str = "") -> ml_collections.ConfigDict:
        config = run_config((Path(file).parent / base).resolve(), argument)
        config.update(changes)
        return config

    return get_config


def _fill_defaults(config: ml_collections.ConfigDict, cls: type) -> None:
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if field.name not in config:
            default = field.default
            if dataclasses.is_dataclass(default) and not isinstance(default, type):
                config[field.name] = ml_collections.ConfigDict(dataclasses.asdict(default))
            elif default is not dataclasses.MISSING:
                config[field.name] = default
        elif isinstance(config[field.name], ml_collections.ConfigDict):
            part = _dataclass_in(hints[field.name])
            if part is not None:
                _fill_defaults(config[field.name], part)


def _dataclass_in(hint: Any) -> type | None:
    """The dataclass of a field that is declared as one, or as one or None."""
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return next((option for option in options if _is_dataclass(option)), None)


def _is_dataclass(option: Any) -> "TypeGuard[type[DataclassInstance]]":
    return isinstance(option, type) and dataclasses.is_dataclass(option)


def _override(config: ml_collections.ConfigDict, word: str) -> None:
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
    raise UserError(f"--config.{key}: unknown key; {_suggest(name, list(node))}")


def _suggest(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"known here: {', '.join(sorted(known))}"


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
    except (ValueError, SyntaxError):
        if old is None:
            return text
        kind = type(old).__name__
        raise UserError(f"--config.{key}={text}: should be of type {kind}, as {old!r} is") from None


def build(cls: type[T], values: Any, key: str = "config") -> T:
    """Makes the frozen dataclass of one part of a configuration, and of the parts inside it.

    Args:
        cls: a dataclass; a field that is a dataclass itself takes a nested mapping, and one
            declared `… | None` takes None.
        values: a mapping from field names to values.
        key: where the mapping stands in the configuration, for messages.

    Raises:
        UserError: an unknown or missing key, a value of another type, or one that the dataclass's
            own check refuses.
    """
    if not isinstance(values, Mapping | ml_collections.ConfigDict):
        raise UserError(f"{key}: should be a group of keys, not {values!r}")
    fields = {field.name: field for field in dataclasses.fields(cls)}
    hints = typing.get_type_hints(cls)
    arguments = {}
    for name in values:
        if name not in fields:
            raise UserError(f"{key}.{name}: unknown key; {_suggest(name, list(fields))}")
        arguments[name] = _convert(values[name], hints[name], f"{key}.{name}")
    for name, field in fields.items():
        no_default = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        if name not in arguments and no_default:
            raise UserError(f"{key}.{name}: is missing from the configuration")
    try:
        return cls(**arguments)
    except ValueError as error:
        raise UserError(_named(key, error, fields)) from None


def _named(key: str, error: ValueError, fields: Collection[str]) -> str:
    """What a dataclass refuses, by the key where it stands; see `checks`."""
    field = re.match(r"(\w+)[\w.]*=", str(error))
    return f"{key}{'.' if field and field[1] in fields else ': '}{error}"


@contextlib.contextmanager
def filled_by_options() -> Iterator[None]:
    """Names the option, as in "--num-frames=0: ...", where a dataclass that is made inside refuses.

    The options must be called as its fields.
    """
    try:
        yield
    except ValueError as error:
        field, equals, rest = str(error).partition("=")
        raise UserError(f"--{field.replace('_', '-')}{equals}{rest}") from None


def _convert(value: Any, hint: Any, key: str) -> Any:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if value is None and type(None) in options:
        return None
    (option,) = (option for option in options if option is not type(None))
    if _is_dataclass(option):
        return build(option, value, key)
    if option is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if option is float and isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{key}={value}: should be a finite number")
    wrong = not isinstance(value, option) or (option is int and isinstance(value, bool))
    if wrong:
        raise UserError(f"{key}: should be of type {option.__name__}, not {value!r}")
    return value
