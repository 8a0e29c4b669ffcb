"""When two spellings mean one class, which texts mean no label, and what a name is near to."""

import difflib
import re
import unicodedata
from collections.abc import Sequence

from surgvista_jax.errors import UserError

# What label files write where nothing was labelled: by hand, by losses that ignore a class, by C,
# pandas and databases.
_UNLABELLED = frozenset(
    ("", "-1", "-100", "nan", "-nan", "none", "null", "na", "n/a", "#n/a", "#na", "<na>")
)
# A number, whose minus a spreadsheet may have made a dash, and which it may write as 1,0.
_NUMBER = re.compile(
    r"([-+\u2010-\u2015\u2212]?) ?([0-9]+(?:[.,]0{1,2}(?![0-9])|\.[0-9]*)?(?:e[-+]?[0-9]{1,2})?)"
)
_MOST_DIGITS = 15  # of a number that is made to see whether it is whole
_SEPARATORS = re.compile(r"(?<=[^\W_])[\s_\-\u2010-\u2015\u2212]+(?=[^\W_])")


def same_class(name: str) -> str:
    """A key that is the same for two spellings of one class.

    Case, the Unicode form (composed or not, no-break spaces, full-width letters, invisible
    characters), blanks, underscores and hyphens between letters, and the form of a whole number (1,
    01, 1.0, 1e0; -1, - 1 with any dash) do not count. Numbers beside one another stay apart:
    "step 1-1" is not "step 11".
    """
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    text = "".join(c for c in text if unicodedata.category(c) != "Cf")
    text = " ".join(text.split())
    whole = whole_number(text)
    if whole is not None:
        return whole
    return _SEPARATORS.sub(lambda found: _kept(text, found), text)


def whole_number(text: str) -> str | None:
    """The digits of a whole number, with a minus below zero, however it is written; else None."""
    found = _NUMBER.fullmatch(text.strip().casefold())
    if not found:
        return None
    digits = found[2].replace(",", ".")
    if "." in digits or "e" in digits:
        value = float(digits)
        if value >= 10**_MOST_DIGITS or value != int(value):
            return None
        digits = str(int(value))
    digits = digits.lstrip("0") or "0"
    return digits if found[1] in ("", "+") or digits == "0" else f"-{digits}"


def is_number(text: str) -> bool:
    """Whether a text is a finite number, whole or not, which a class is called by at most."""
    found = re.fullmatch(r"[-+]?(\d+[.,]?\d*|[.,]\d+)(e[-+]?\d+)?", text.strip().casefold())
    return found is not None


def _kept(text: str, separators: re.Match[str]) -> str:
    beside = text[separators.start() - 1], text[separators.end()]
    return "-" if all(character.isdigit() for character in beside) else ""


def is_unlabelled(text: str) -> bool:
    """Whether the text of a label says that there is none, as -1, -100, nan and none do."""
    return same_class(text) in _UNLABELLED or text.strip().casefold() in _UNLABELLED


def near(name: str, known: Sequence[str]) -> str:
    """What may have been meant by a name that is not there: "; did you mean 'x'?", or ""."""
    by_key = {same_class(other): other for other in known if other}
    close = difflib.get_close_matches(same_class(name), list(by_key), n=1)
    return f"; did you mean {by_key[close[0]]!r}?" if close else ""


def listed_classes(where: str, names: Sequence[str]) -> tuple[str, ...]:
    """Class names as a user lists them, in the order of their ids, without blanks around them.

    Args:
        where: the option or file, for messages.

    Raises:
        UserError: a name is empty, cannot be printed, or is there twice.
    """
    names = tuple(name.strip() for name in names)
    seen: dict[str, int] = {}
    for number, name in enumerate(names):
        if not name or not name.isprintable():
            raise UserError(f"{where}: {name!r} is no name of a class")
        first = names[seen.setdefault(same_class(name), number)]
        if seen[same_class(name)] != number:
            raise UserError(f"{where}: {first!r} and {name!r} are one class; name each once")
    return names
