"""Scores of surgical video recognition, with NumPy alone (no JAX).

Its modules are imported when they are first asked for: `surgvista_jax.metrics.phase`.
"""

import importlib
import pkgutil
from types import ModuleType


def __getattr__(name: str) -> ModuleType:
    """A module of this package (PEP 562)."""
    if name not in _modules():
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return importlib.import_module(f"{__name__}.{name}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_modules()})


def _modules() -> list[str]:
    return [info.name for info in pkgutil.iter_modules(__path__)]
