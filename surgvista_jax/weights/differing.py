"""How does the model in a file differ from the one that is asked for, in words?"""

import dataclasses
from typing import Any

from surgvista_jax.weights.kinds import StudentConfig, comparable, described, encoder_of


def difference(found: Any, expected: Any) -> str:
    """How the model in the file differs from the one asked for, in words; "" where it does not."""
    found, expected = comparable(found), comparable(expected)
    if found == expected:
        return ""
    ours, theirs = encoder_of(expected), encoder_of(found)
    if ours == theirs and isinstance(found, StudentConfig) and found.model != expected.model:
        found, expected = found.model, expected.model  # whose parts are what a user can name
    if ours is None or theirs is None or ours == theirs:
        return f"it holds {_fields(found, expected)}"
    if described(ours) == described(theirs):
        return f"its encoder has {_fields(theirs, ours)}"
    return f"it holds {described(theirs)}, not {described(ours)}"


def _fields(found: Any, expected: Any, within: str = "") -> str:
    """The fields in which two configurations differ: "part.a=1 instead of 2"."""
    if type(found) is not type(expected) or not dataclasses.is_dataclass(found):
        return f"{found!r} instead of {expected!r}"
    texts = []
    for field in dataclasses.fields(found):
        one, other = getattr(found, field.name), getattr(expected, field.name)
        if one != other:
            inner = dataclasses.is_dataclass(one) and type(one) is type(other)
            place = f"{within}{field.name}"
            told = f"{place}={one} instead of {other}"
            texts.append(_fields(one, other, f"{place}.") if inner else told)
    return ", ".join(texts)
