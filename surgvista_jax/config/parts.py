"""The frozen dataclass of each part of a configuration, made of its keys."""

import contextlib
import dataclasses
import difflib
import re
import sys
import types
import typing
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

import ml_collections

from surgvista_jax.checks import shortened
from surgvista_jax.errors import UserError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T", bound="DataclassInstance")
NAMES_AND_VALUES = 'names with a value each, as in {"NAME": 1}'


def build(cls: type[T], values: Any, key: str = "config") -> T:
    """Makes the frozen dataclass of one part of a configuration, and of the parts inside it.

    Args:
        cls: a dataclass; a field that is a dataclass itself takes a nested mapping, one declared
            `Mapping[str, …]` a mapping of any names, and one declared `… | None` takes None.
        values: a mapping from field names to values.
        key: where the mapping stands in the configuration, for messages.

    Raises:
        UserError: an unknown or missing key, a value of another type, or one that the dataclass's
            own check refuses.
    """
    if not _is_group(values):
        raise UserError(f"{key}: should be a group of keys, not {shortened(values)}")
    fields = {field.name: field for field in dataclasses.fields(cls)}
    hints = typing.get_type_hints(cls)
    arguments = {}
    for name in values:
        if name not in fields:
            raise UserError(f"{key}.{name}: unknown key; {suggest(name, list(fields))}")
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
    field = re.match(r"(\w+)[\w.-]*=", str(error))
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
    if is_dataclass(option):
        return build(option, value, key)
    if is_mapping(option):
        if not _is_group(value):
            raise UserError(f"{key}={shortened(value)}: should be {NAMES_AND_VALUES}")
        inner = typing.get_args(option)[1]
        return {name: _convert(value[name], inner, f"{key}.{name}") for name in value}
    kinds = (float, int) if option is float else option
    if not isinstance(value, kinds) or (isinstance(value, bool) and option is not bool):
        raise UserError(f"{key}: should be of type {option.__name__}, not {shortened(value)}")
    if isinstance(value, float | int) and not abs(value) <= sys.float_info.max:
        raise UserError(f"{key}={shortened(value)}: should be a finite number")
    if isinstance(value, str) and not _can_be_written(value):
        raise UserError(f"{key}={shortened(value)}: holds NUL or half a character")
    return float(value) if option is float else value


def _can_be_written(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def fill_defaults(config: ml_collections.ConfigDict, cls: type) -> None:
    """Gives a configuration the defaults of the keys that it leaves open."""
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if field.name not in config:
            default = field.default
            if dataclasses.is_dataclass(default) and not isinstance(default, type):
                config[field.name] = ml_collections.ConfigDict(dataclasses.asdict(default))
            elif default is not dataclasses.MISSING:
                config[field.name] = default
            elif is_mapping(hints[field.name]):
                config[field.name] = ml_collections.ConfigDict()
        elif isinstance(config[field.name], ml_collections.ConfigDict):
            part = dataclass_in(hints[field.name])
            if part is not None:
                fill_defaults(config[field.name], part)


def check_keys(values: Mapping[str, Any], cls: type, key: str) -> None:
    """Refuses keys that a configuration does not know, before one is made of them."""
    hints = typing.get_type_hints(cls)
    for name, value in values.items():
        if name not in hints:
            raise UserError(f"{key}.{name}: unknown key; {suggest(name, list(hints))}")
        part = dataclass_in(hints[name])
        if is_mapping(hints[name]):
            check_names(value, f"{key}.{name}")
        elif part is not None and isinstance(value, Mapping):
            check_keys(value, part, f"{key}.{name}")
        elif isinstance(value, Mapping | list):
            raise UserError(f"{key}.{name}: should be one value, not {shortened(value)}")


def check_names(value: Any, key: str) -> None:
    """Refuses what a field that maps any names cannot hold, before a configuration is made."""
    if not _is_group(value):
        raise UserError(f"{key}={shortened(value)}: should be {NAMES_AND_VALUES}")
    for name in value:
        if not isinstance(name, str) or "." in name:
            raise UserError(f"{key}: {shortened(name)} should be a name without a dot")


def suggest(name: str, known: Sequence[str]) -> str:
    """What a key that is not known may be meant to be."""
    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"did you mean {close[0]}?"
    return f"known here: {', '.join(sorted(known))}"


def dataclass_in(hint: Any) -> "type[DataclassInstance] | None":
    """The dataclass of a field that is declared as one, or as one or None."""
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    return next((option for option in options if is_dataclass(option)), None)


def is_mapping(hint: Any) -> bool:
    """Whether a field takes values by any names, declared `Mapping[str, …]`."""
    return typing.get_origin(hint) is Mapping


def mappings_in(cls: type, prefix: str = "") -> set[str]:
    """The keys, such as "data.mixture", of the fields that take values by any names."""
    found: set[str] = set()
    for name, hint in typing.get_type_hints(cls).items():
        part = dataclass_in(hint)
        if is_mapping(hint):
            found.add(prefix + name)
        elif part is not None:
            found |= mappings_in(part, f"{prefix}{name}.")
    return found


def _is_group(value: Any) -> bool:
    return isinstance(value, Mapping | ml_collections.ConfigDict)


def is_dataclass(option: Any) -> "TypeGuard[type[DataclassInstance]]":
    """Whether a type is a dataclass."""
    return isinstance(option, type) and dataclasses.is_dataclass(option)
