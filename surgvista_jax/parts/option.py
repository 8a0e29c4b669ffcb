"""How do users say which part of a command's work is to be done?"""

import argparse
import re
from typing import NamedTuple

from surgvista_jax.errors import UserError

MOST = 9999  # parts


class Part(NamedTuple):
    """Part `number`, from 1, of so many; number 0 stands for their merge."""

    number: int
    of: int

    @property
    def is_merge(self) -> bool:
        return self.number == 0

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def add_part(parser: argparse.ArgumentParser) -> None:
    """Adds the option; without it its value is None."""
    parser.add_argument(
        "--part",
        type=parse_part,
        metavar="I/N",
        help="do part I of N alone, on this machine; others may do theirs at once, in the same"
        " folder on a shared disk; then `surgvista merge FOLDER` makes of all what one run makes",
    )


def parse_part(text: str) -> Part:
    """The part that a user says. Raises UserError for what is none."""
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if found is None:
        raise UserError(f"--part {text}: should be I/N, such as 1/4 for the first of four parts")
    number, of = map(int, found.groups())
    if not 1 <= of <= MOST:
        raise UserError(f"--part {text}: should be of 1 to {MOST} parts")
    if not 1 <= number <= of:
        raise UserError(f"--part {text}: the number of a part should be from 1 to {of}")
    return Part(number, of)
