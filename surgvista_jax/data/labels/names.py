"""The class that a name in a label file means, however it is spelled."""

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import same_class, whole_number

_SHORTEST, _NEAR = 6, 0.9  # letters of names that a letter may tell apart; how alike words are


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
        The classes, whole numbers among them as digits alone; and a text for each that has several
        spellings.
    """
    spellings: dict[str, dict[str, None]] = {}
    for name in names:
        spellings.setdefault(same_class(name), {})[name] = None
    classes = tuple(_plainest(next(iter(found))) for found in spellings.values())
    notes = [
        f"{', '.join(map(shown, found))} are one class"
        for found in spellings.values()
        if len(found) > 1
    ]
    return classes, notes


def _plainest(name: str) -> str:
    """A whole number that is written as 1.0 or 1e0 as 1; other names as they are."""
    whole = whole_number(name)
    return name if whole is None or name.isdigit() else whole


def near_equal(classes: Sequence[str]) -> str:
    """Names the classes that differ by accents, punctuation or a letter alone; "" if none do.

    Numbers and single letters tell classes apart, as in `step 1` and `step 2`.
    """
    groups: list[list[str]] = []
    for name in classes:
        like = next((group for group in groups if _are_near(name, group[0])), None)
        if like is None:
            groups.append([name])
        else:
            like.append(name)
    alike = [group for group in groups if len(group) > 1]
    if not alike:
        return ""
    listed = "; ".join(", ".join(map(shown, group)) for group in alike[:3])
    more = f" and {len(alike) - 3} more" if len(alike) > 3 else ""
    return f"nearly equal names are classes of their own: {listed}{more}; spell alike what is one"


def _are_near(one: str, other: str) -> bool:
    first, second = _bare(one), _bare(other)
    if same_class(first) == same_class(second):
        return True
    if re.sub(r"[^0-9]", "", first) != re.sub(r"[^0-9]", "", second):
        return False
    long = [[word for word in name.split() if len(word) > 2] for name in (first, second)]
    short = [[word for word in name.split() if len(word) <= 2] for name in (first, second)]
    if short[0] != short[1] or min(len(first), len(second)) < _SHORTEST:
        return False
    apart = [pair for pair in zip(*long, strict=False) if pair[0] != pair[1]]
    if len(long[0]) != len(long[1]) or len(apart) != 1:
        return False
    return difflib.SequenceMatcher(None, apart[0][0], apart[0][1], autojunk=False).ratio() >= _NEAR


def _bare(name: str) -> str:
    """A name without case, accents and punctuation, but for + and -, which grade things."""
    text = unicodedata.normalize("NFD", name.casefold())
    text = "".join(c for c in text if unicodedata.category(c) != "Mn")
    return " ".join(re.sub(r"[^\w+\- ]|_", " ", text).split())


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
