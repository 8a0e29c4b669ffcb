"""Which datasets can be read?  Each module of this package is one; the registry fills itself.

A module defines `DATASET`, or `DATASETS` where the same files make several datasets.
"""

import functools
import importlib
import pkgutil

from surgvista_jax.data.official import Official
from surgvista_jax.errors import UserError


@functools.cache
def registry() -> dict[str, Official]:
    """Name -> dataset, of every module of this package, by name."""
    found = {}
    for info in pkgutil.iter_modules(__path__):
        module = importlib.import_module(f"{__name__}.{info.name}")
        for official in getattr(module, "DATASETS", None) or (module.DATASET,):
            if official.name in found:
                raise ValueError(f"two readers are called {official.name}")
            found[official.name] = official
    return dict(sorted(found.items()))


def find(name: str) -> Official:
    """The dataset of that name.

    Raises:
      UserError: there is none.
    """
    known = registry()
    if name not in known:
        raise UserError(f"{name}: no such dataset; `surgvista data list` names {len(known)}")
    return known[name]
