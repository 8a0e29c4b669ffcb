"""What there is to say of videos while they are looked at, each thing once."""

import dataclasses
import sys
from collections.abc import Sequence

from surgvista_jax.data.conversion.remarks import told_once
from surgvista_jax.data.conversion.sources import Remark


@dataclasses.dataclass
class Remarks:
    """What is to be said of videos: what could not be read, and what else should be known."""

    problems: list[Remark] = dataclasses.field(default_factory=list)
    notes: list[Remark] = dataclasses.field(default_factory=list)
    _said: set[Remark] = dataclasses.field(default_factory=set)

    def add(
        self, problems: Sequence[Remark], notes: Sequence[Remark] = (), *, printed: bool = False
    ) -> None:
        """Takes some in; `printed`: they were printed already."""
        self.problems += problems
        self.notes += notes
        self._said.update((*problems, *notes) if printed else ())

    def say(self) -> None:
        """Prints those that were not printed before."""
        fresh = [note for note in self.notes if note not in self._said]
        for remark in (*told_once(fresh), *(p for p in self.problems if p not in self._said)):
            print(remark, file=sys.stderr)
        self._said.update(self.notes, self.problems)

    def last(self) -> str:
        """Why nothing is left, where every video is a problem; prints the others."""
        *before, last = self.problems
        for remark in before:
            if remark not in self._said:
                print(remark, file=sys.stderr)
        return str(last)
