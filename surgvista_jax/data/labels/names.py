"""The class that a name in a label file means, however it is spelled."""

import difflib
import re
from collections.abc import Mapping, Sequence

from surgvista_jax.errors import UserError


class ClassNames:
    """The classes of a dataset by name, whatever the case and the separators.

    Attributes:
        renamed: spelling in a file -> name of the class, for those that differ by more than case
            and separators.
    """

    def __init__(self, classes: Sequence[str], aliases: Mapping[str, str] | None = None):
        """Takes the class names, and other names: alias -> class."""
        self.classes = tuple(classes)
        self.renamed: dict[str, str] = {}
        self._ids = {_plain(name): index for index, name in enumerate(classes)}
        self._aliases = {
            _plain(alias): self._ids[_plain(name)] for alias, name in (aliases or {}).items()
        }

    def id_of(self, name: str, where: str) -> int:
        """The id of a class.

        Raises:
            UserError: `where` the file holds a name that is none of them.
        """
        plain = _plain(name)
        if plain in self._ids:
            return self._ids[plain]
        if plain in self._aliases:
            self.renamed[name] = self.classes[self._aliases[plain]]
            return self._aliases[plain]
        close = difflib.get_close_matches(name, self.classes, n=1)
        hint = f"did you mean {close[0]}?" if close else "known: " + ", ".join(self.classes)
        raise UserError(f"{where}: unknown class {name!r}; {hint}")

    def notes(self) -> list[str]:
        return [f"class {old!r} is taken for {new!r}" for old, new in self.renamed.items()]


def _plain(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())
