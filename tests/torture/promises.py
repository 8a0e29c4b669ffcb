"""What is a promise, what is one try of it, and what does a try need to know?"""

import functools
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.torture.material import Material
from tests.torture.process import Broken, Command, Ended

_LINE = re.compile("^surgvista: ", re.MULTILINE)


@dataclass
class Try:
    """One try of a promise; all that it draws comes from (seed, promise, number).

    Attributes:
        rng: draws what is done.
        folder: empty, and its own; it stays where it is if the promise is broken.
        material: what every try may read, and none may change.
        kind: what was tried, in a word or two: a column of the table.
    """

    rng: np.random.Generator
    folder: Path
    material: Material
    kind: str = ""
    commands: list[list[str]] = field(default_factory=list)

    def start(self, *words: object, file_bytes: int | None = None) -> Command:
        """Starts `surgvista WORDS`; no file that it writes may pass `file_bytes`."""
        self.commands.append([str(word) for word in words])
        number = len(self.commands)
        return Command(self.commands[-1], self.folder / f"said{number}", file_bytes=file_bytes)

    def run(self, *words: object, file_bytes: int | None = None) -> Ended:
        """Runs `surgvista WORDS` to its end."""
        return self.start(*words, file_bytes=file_bytes).finish()

    def one_of(self, choices):
        """One of a sequence, drawn."""
        return choices[int(self.rng.integers(len(choices)))]


Attempt = Callable[..., None]


@dataclass(frozen=True)
class Promise:
    """Something that always holds.

    Attributes:
        name: of the command line and the table, such as "kills.pretrain".
        text: the promise, in a sentence.
        attempt: tries it once and raises `Broken` if it does not hold.
        share: of the time, in proportion to the others; 0: only where it is named in full.
    """

    name: str
    text: str
    attempt: Attempt
    share: float

    def rng(self, seed: int, number: int) -> np.random.Generator:
        """The randomness of a try, whatever was tried before it."""
        return np.random.default_rng((seed, zlib.crc32(self.name.encode()), number))


PROMISES: list[Promise] = []  # of all modules that were imported, in that order


def promise(
    share: float, name: str = "", says: str = "", given: Any = None
) -> Callable[[Attempt], Attempt]:
    """Registers a function as the tries of a promise, which its docstring says.

    Args:
        share: of the time, in proportion to the others.
        name: where one function stands for several promises: which, such as a job.
        says: stands for the "{}" of the docstring; otherwise the name does.
        given: the function's first argument; otherwise, with a name, the name.
    """

    def register(attempt: Attempt) -> Attempt:
        room = attempt.__module__.rpartition(".")[2]
        text = " ".join(str(attempt.__doc__).split()).format(says or name)
        tried = functools.partial(attempt, given or name) if name else attempt
        PROMISES.append(Promise(f"{room}.{name or attempt.__name__}", text, tried, share))
        return attempt

    return register


def check_told(ended: Ended) -> str:
    """Success, or an end with words for the user; returns which.  Raises `Broken` otherwise."""
    text = ended.out + ended.err
    if "Traceback (most recent call last)" in text:
        last = [line for line in text.splitlines() if line and not line[0].isspace()][-1]
        raise Broken(f"a traceback: {last[:200]}")
    if ended.code < 0:
        raise Broken(f"died of signal {-ended.code}")
    if ended.code == 0:
        return "success"
    # A user's mistake has its line; a report, or a run that was told to stop, has words of its own.
    own = ended.err if ended.code != 1 else _LINE.search(ended.err)
    if not own and not ended.out.strip():
        raise Broken(f"ends with {ended.code} and does not say why")
    return "refused"


def expect_success(ended: Ended) -> None:
    """Raises `Broken` if a command that should succeed does not."""
    if ended.code:
        last = (ended.err.strip() or ended.out.strip() or "nothing was said").splitlines()[-1]
        raise Broken(f"ends with {ended.code}: {last[:300]}")
