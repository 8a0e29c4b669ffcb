"""The datasets that can be read. Each module of this package is one; the registry fills itself.

A module defines `DATASET`, or `DATASETS` where the same files make several datasets.
"""

import difflib
import functools
import importlib
import pkgutil

from surgvista_jax.data.conversion.official import Official
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
        near = [other for other in known if name and other.startswith(name)]
        near = near or difflib.get_close_matches(name, known)
        hint = f"did you mean {' or '.join(near)}?" if near else "see `surgvista data list`"
        raise UserError(f"{name}: no such dataset; {hint}")
    return known[name]
