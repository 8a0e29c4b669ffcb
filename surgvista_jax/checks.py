"""How a configuration refuses a value: by an error that begins with the field.

By a ValueError whose text begins with the field, as in "width=0: should be at least 1". So whoever
filled the field can say where: `config.build` puts the key of the dataclass in front, a command the
dashes of its option.
"""

from collections.abc import Callable, Collection
from typing import Any

LONGEST_SHOWN = 100  # characters of a value in a message
LARGEST_WHOLE = 2**31 - 1  # what JAX counts in
MOST_PIXELS = 2**16  # a side of any picture, or the frames of a clip
LARGEST_FLOAT = 3e38  # what it computes in


def shortened(value: Any) -> str:
    """A value for a message, of a length that can be read."""
    try:
        text = repr(value)
    except ValueError:  # a whole number of more digits than Python writes
        return "a number of thousands of digits"
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


def check(config: Any, rule: str, holds: Callable[[Any], bool], *fields: str) -> None:
    """Refuses the first of the fields of whose value `holds` is false: it "should be" by `rule`.

    No number may be infinite, or not a number, whatever the rule.
    """
    for field in fields:
        value = getattr(config, field)
        if not holds(value):
            raise ValueError(f"{field}={shortened(value)}: should be {rule}")
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if number and not abs(value) <= LARGEST_FLOAT:
            raise ValueError(f"{field}={shortened(value)}: should be a number that float32 holds")


def check_whole(config: Any, lowest: int, *fields: str, highest: int = LARGEST_WHOLE) -> None:
    """Refuses fields that are not whole numbers from `lowest` to `highest`."""
    check(
        config,
        f"a whole number of at least {lowest}",
        lambda value: isinstance(value, int) and value >= lowest,
        *fields,
    )
    check(config, f"at most {highest:,}", lambda value: value <= highest, *fields)


def check_seed(config: Any, field: str = "seed") -> None:
    """Refuses what JAX and NumPy cannot both start from, seeds of further runs included."""
    check(
        config,
        "a whole number from 0 on, of at most 18 digits",
        lambda value: isinstance(value, int) and 0 <= value < 10**18,
        field,
    )


def check_one_of(config: Any, choices: Collection[str], *fields: str) -> None:
    """Refuses fields whose value is none of the choices."""
    check(config, f"one of {', '.join(choices)}", lambda value: value in choices, *fields)
