"""The class that a name in a label file means, however it is spelled."""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence

from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import same_class


class ClassNames:
    """The classes of a dataset by name, whatever the case, the Unicode form and the separators.

    Attributes:
        renamed: spelling in a file -> name of the class, for those that differ by more than case
            and separators.
    """

    def __init__(self, classes: Sequence[str], aliases: Mapping[str, str] | None = None):
        """Takes the class names, and other names: alias -> class.

        Raises:
            UserError: two of the names are one.
        """
        self.classes = tuple(classes)
        self.renamed: dict[str, str] = {}
        self._ids: dict[str, int] = {}
        for index, name in enumerate(classes):
            if not name.strip() or same_class(name) in self._ids:
                raise UserError(f"classes {', '.join(classes)}: {name!r} must be a name, and once")
            self._ids[same_class(name)] = index
        # Names that punctuation tells apart, such as A+ and A-, are not guessed at.
        self._plain: dict[str, int | None] = {}
        for index, name in enumerate(classes):
            self._plain[_plain(name)] = None if _plain(name) in self._plain else index
        self._aliases = {
            _plain(alias): self._ids[same_class(name)] for alias, name in (aliases or {}).items()
        }

    def id_of(self, name: str, where: str) -> int:
        """The id of a class.

        Raises:
            UserError: `where` the file holds a name that is none of them.
        """
        if (known := self._ids.get(same_class(name))) is not None:
            return known
        plain = _plain(name)
        if plain and (near := self._plain.get(plain)) is not None:
            return near
        if plain in self._aliases:
            self.renamed[name] = self.classes[self._aliases[plain]]
            return self._aliases[plain]
        close = difflib.get_close_matches(name, self.classes, n=1)
        hint = f"did you mean {close[0]}?" if close else "known: " + ", ".join(self.classes)
        raise UserError(f"{where}: unknown class {name!r}; {hint}")

    def notes(self) -> list[str]:
        return [f"class {old!r} is taken for {new!r}" for old, new in self.renamed.items()]


def one_of_each(names: Iterable[str]) -> tuple[tuple[str, ...], list[str]]:
    """The classes that names speak of, in the order and the spelling in which they come first.

    Returns:
        The classes; and a text for each that has several spellings.
    """
    spellings: dict[str, dict[str, None]] = {}
    for name in names:
        spellings.setdefault(same_class(name), {})[name] = None
    classes = tuple(next(iter(found)) for found in spellings.values())
    notes = [
        f"{', '.join(map(shown, found))} are one class"
        for found in spellings.values()
        if len(found) > 1
    ]
    return classes, notes


def shown(name: str) -> str:
    """A name in quotes; what one cannot see in it, as its Unicode form, is written out."""
    return repr(name) if name.isascii() else f"{name!r} ({ascii(name)})"


def _plain(name: str) -> str:
    """Letters and digits alone; digits between which something stood stay apart.

    A number below zero stays one: -2 is no class 2.
    """
    if (key := same_class(name)).startswith("-") and key[1:2].isdigit():
        return key
    parts = re.split(r"(?<=\d)[\W_]+(?=\d)", key)
    return "-".join(re.sub(r"[\W_]+", "", part) for part in parts)
