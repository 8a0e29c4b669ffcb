"""How a configuration refuses a value: by an error that begins with the field.

By a ValueError whose text begins with the field, as in "width=0: should be at least 1". So whoever
filled the field can say where: `config.build` puts the key of the dataclass in front, a command the
dashes of its option.
"""

from collections.abc import Callable, Collection
from typing import Any


def check(config: Any, rule: str, holds: Callable[[Any], bool], *fields: str) -> None:
    """Refuses the first of the fields of whose value `holds` is false: it "should be" by `rule`."""
    for field in fields:
        value = getattr(config, field)
        if not holds(value):
            raise ValueError(f"{field}={value!r}: should be {rule}")


def check_whole(config: Any, lowest: int, *fields: str) -> None:
    """Refuses fields that are not whole numbers of at least `lowest`."""
    check(
        config,
        f"a whole number of at least {lowest}",
        lambda value: isinstance(value, int) and value >= lowest,
        *fields,
    )


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
