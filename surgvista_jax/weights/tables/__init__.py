"""The families of weight files. Each module here is one; the registry fills itself.

A module defines `TABLE`, or `TABLES` where a family has several forms.
"""

import functools
import importlib
import pkgutil

from surgvista_jax.errors import UserError
from surgvista_jax.weights.names.table import Table


@functools.cache
def registry() -> dict[str, Table]:
    """Name -> table, of every module of this package, by name."""
    found = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        for table in getattr(module, "TABLES", None) or (module.TABLE,):
            if table.name in found:
                raise ValueError(f"two tables are called {table.name}")
            found[table.name] = table
    return dict(sorted(found.items()))


def find(name: str) -> Table:
    """The table of that name.

    Raises:
        UserError: there is none.
    """
    known = registry()
    if name not in known:
        raise UserError(f"{name}: no such table of names; known are {', '.join(known)}")
    return known[name]
