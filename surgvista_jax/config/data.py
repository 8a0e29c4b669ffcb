"""Configurations as data: TOML and JSON files, in which nothing can run."""

import dataclasses
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from surgvista_jax.config.parts import dataclass_in
from surgvista_jax.errors import UserError
from surgvista_jax.json_object import read_object

SUFFIXES = (".json", ".toml")


def is_data(file: Path) -> bool:
    """Whether a configuration is data; else it is a Python file, which is run."""
    return file.suffix.lower() in SUFFIXES


def read_data(file: Path) -> dict[str, Any]:
    """The keys of a .toml or .json file, such as a run's `config.json`, with its `kind`.

    Raises:
        UserError: it cannot be read, or is not what its name says.
    """
    if file.suffix.lower() == ".json":
        return read_object(file, unique=True)
    try:
        return tomllib.loads(file.read_bytes().decode("utf-8-sig"))
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror or error})") from None
    except RecursionError:
        raise UserError(f"{file}: is not TOML (it nests too deep)") from None
    except ValueError as error:
        said = "a number in it has too many digits" if "digits" in str(error) else error
        raise UserError(f"{file}: is not TOML ({said})") from None


def complete(values: Mapping[str, Any], cls: type) -> dict[str, Any]:
    """`values` with what a file of data may leave out or cannot say.

    A group that is left out has its defaults, if all of its keys have; "none" is None where a key
    may be None and is not a text. What does not fit stays, for `build` to name.
    """
    hints = typing.get_type_hints(cls)
    known = {field.name: field for field in dataclasses.fields(cls)}
    found = {name: _completed(value, hints.get(name)) for name, value in values.items()}
    for name, field in known.items():
        part = dataclass_in(hints[name])
        wanted = field.default is dataclasses.MISSING and hints[name] is part
        if name not in found and part is not None and wanted and _has_defaults(part):
            found[name] = dataclasses.asdict(part())
    return found


def _completed(value: Any, hint: Any) -> Any:
    options = typing.get_args(hint) if isinstance(hint, types.UnionType) else (hint,)
    if isinstance(value, str) and value.lower() == "none" and str not in options:
        return None if type(None) in options else value
    part = dataclass_in(hint)
    return complete(value, part) if part is not None and isinstance(value, Mapping) else value


def _has_defaults(cls: type) -> bool:
    return all(
        not (field.default is field.default_factory is dataclasses.MISSING)
        for field in dataclasses.fields(cls)
    )


def keys_of(values: Mapping[str, Any], prefix: str = "") -> set[str]:
    """The keys of nested mappings, as in "clip.size"."""
    keys: set[str] = set()
    for key, value in values.items():
        keys |= keys_of(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key}
    return keys
