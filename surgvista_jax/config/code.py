"""Configurations as code: the `get_config` of a Python file, which is run."""

import importlib.util
import os
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import ml_collections

from surgvista_jax.checks import shortened
from surgvista_jax.errors import UserError


def find_config(path: str) -> Path:
    """The file at `path`, or the one shipped under that name ("configs/…") from any folder.

    Raises:
        UserError: there is none.
    """
    given = Path(path)
    package = Path(__file__).parents[1]
    shipped = [package.parent / given, package / given] if given.parts[:1] == ("configs",) else []
    for candidate in [given, *shipped]:
        if os.path.isfile(candidate):
            return candidate
    if os.path.isfile(given / "config.json"):
        raise UserError(f"--config={path}: is a run's folder; give {given / 'config.json'}")
    raise UserError(f"--config={path}: there is no such file")


def run_config(file: Path, argument: str = "") -> ml_collections.ConfigDict:
    """Runs `get_config` of a file; this is also how one configuration starts from another."""
    module = run_file(file, f"--config={file}")
    if not callable(getattr(module, "get_config", None)):
        raise UserError(f"--config={file}: the file defines no function get_config")
    try:
        config = module.get_config(argument) if argument else module.get_config()
    except (Exception, SystemExit) as error:
        if not (argument and isinstance(error, KeyError | TypeError | ValueError)):
            raise failed(file, error, f"--config={file}") from error
        about = (module.get_config.__doc__ or "it takes none").strip().split("\n")[0]
        raise UserError(f"--config={file}:{argument}: not an argument of it ({about})") from error
    if not isinstance(config, ml_collections.ConfigDict):
        raise UserError(
            f"--config={file}: get_config should return an ml_collections.ConfigDict, not"
            f" {shortened(config)}"
        )
    return config


def run_file(file: Path, named: str) -> ModuleType:
    """The module that a Python file of a user makes, in which it may define what is asked for.

    Args:
        named: what messages call the file.

    Raises:
        UserError: it is no Python file, or fails.
    """
    spec = importlib.util.spec_from_file_location("surgvista_config", file)
    if spec is None or spec.loader is None:
        raise UserError(f"{named}: not a Python file (nor .json, nor .toml)")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        raise failed(file, error, named) from error
    return module


def failed(file: Path, error: Exception | SystemExit, named: str) -> UserError:
    """What a file of a user raises, by the line of it that does."""
    if isinstance(error, UserError):
        return error
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(file)]
    if isinstance(error, SyntaxError):
        lines = [error.lineno]
    line = f", line {lines[-1]}" if lines and lines[-1] else ""
    said = " ".join(str(error).split())
    return UserError(f"{named}{line}: {type(error).__name__}: {said}")


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
