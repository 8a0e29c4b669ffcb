"""Do the parts of one command in one folder belong together, and are they all there?

    FOLDER/.surgvista_parts/data-convert/plan.json   what is divided: who begins first writes it
                                         2/          the output folder of part 2, with all that the
                                                     command keeps beside what it writes
                                         2.json      that part 2 came to its end
                                         merging.json
                                                     that a merge has begun to move what parts made
                                         merged.json in place of the plan, once all is merged

A part that finds another plan than it would write itself stops before it does anything.
"""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from surgvista_jax import __version__
from surgvista_jax.counted import counted
from surgvista_jax.errors import UserError
from surgvista_jax.json_object import read_object
from surgvista_jax.locking import alone_in
from surgvista_jax.parts.division import divide
from surgvista_jax.parts.option import Part
from surgvista_jax.parts.plan_file import (
    PLAN,
    Item,
    changed,
    differing,
    place_of,
    read_plan,
    write_plan,
)
from surgvista_jax.parts.sweep import MERGED, MERGING
from surgvista_jax.writing import write_json, writing_to

_PAGE = "html"  # the option that names the page which the merge writes
_BUSY = "do another part"
_NAMED = 5  # parts that a message names


@dataclasses.dataclass(frozen=True)
class Parts:
    """The parts of one command in one folder, seen by one of them or by their merge.

    Attributes:
        out: the folder.
        command: its words, such as "data convert".
        part: which this process does.
        words: what tells the command from others (`words.words_of`).
        options: what starts it again (`words.options_of`).
    """

    out: Path
    command: str
    part: Part
    words: Mapping[str, Any]
    options: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        """The output folder of this part."""
        return self.folder_of(self.part.number)

    @property
    def folders(self) -> list[Path]:
        """Those of all parts."""
        return [self.folder_of(number) for number in range(1, self.part.of + 1)]

    def folder_of(self, number: int) -> Path:
        return self._place / str(number)

    def alone(self) -> contextlib.AbstractContextManager[None]:
        """Alone at this part; a second start is told to do another."""
        return alone_in(self.folder, _BUSY)

    def check(self) -> None:
        """Refuses what can be known to differ before any work is done.

        Raises:
            UserError: parts are begun here that are of another number, command or version; their
                merge has begun, so that a part lacks what was moved and would make it again.
        """
        self._refuse_merging()
        if (begun := read_plan(self.out, self.command)) is not None:
            self._compare(begun)

    def begin(self, items: Sequence[Item], facts: Mapping[str, Any] | None = None) -> list[int]:
        """Divides items; whoever comes first writes down which, all others compare.

        Args:
            items: all that there are, of all parts, in their order.
            facts: what else must be the same in all parts, as JSON holds it; None: not known here.

        Returns:
            The numbers of the items of this part; of the merge, of all.

        Raises:
            UserError: parts are begun here that do not fit to this one; the plan cannot be written;
                another process does this part, whose end stays noted.
        """
        plan = {
            "of": self.part.of,
            "words": dict(self.words),
            "options": dict(self.options),
            "facts": dict(facts or {}),
            "items": [list(item) for item in items],
        }
        write_plan(self.out, self.command, plan)
        begun = read_plan(self.out, self.command)
        assert begun is not None  # it was written, by this process or another
        self._compare(begun)
        if facts is not None and (others := differing(begun["facts"], facts)):
            raise UserError(f"{self.out}: its parts were begun with {others}; {self._anew}")
        if begun["items"] != plan["items"]:
            raise UserError(
                f"{self.out}: its parts were begun when {changed(begun['items'], items)};"
                f" {self._anew}"
            )
        if self.part.is_merge:
            return list(range(len(items)))
        note = self._note(self.part.number)
        self._refuse_merging()
        # A start beside one at work, or beside the merge, must not take the end away.
        with self.alone(), writing_to(note):
            note.unlink(missing_ok=True)
        return divide([size for _, size in items], self.part.of)[self.part.number - 1]

    def end(self, status: int, without: Sequence[str] = ()) -> None:
        """Notes that this part came to its end.

        Args:
            status: its exit code.
            without: those of its items of which nothing came, as they could not be read.
        """
        write_json(self._note(self.part.number), {"status": status, "without": list(without)})

    def status(self) -> int:
        """The highest exit code of the parts, which all came to their ends."""
        return max(self._ended(number)["status"] for number in self._numbers)

    def nothing_of(self, number: int) -> set[str]:
        """The items of which nothing came in a part."""
        return set(self._ended(number)["without"])

    @contextlib.contextmanager
    def all_ended(self) -> Iterator[list[Path]]:
        """Has the folders of all parts for this process alone, whose ends came.

        Raises:
            UserError: parts are missing or unfinished: which; one is at work.
        """
        self._check_ended()
        with contextlib.ExitStack() as locks:
            for folder in self.folders:
                locks.enter_context(alone_in(folder, "stop it"))
            self._check_ended()  # one may have started again meanwhile
            yield self.folders

    def _check_ended(self) -> None:
        lacking = [number for number in self._numbers if not self._note(number).is_file()]
        if lacking:
            said = [
                f"part {Part(number, self.part.of)} "
                + ("has not ended" if self.folder_of(number).is_dir() else "was not begun")
                for number in lacking[:_NAMED]
            ]
            more = (
                f" and {counted(len(lacking) - _NAMED, 'part')} more"
                if len(lacking) > _NAMED
                else ""
            )
            raise UserError(
                f"{self.out}: {', '.join(said)}{more}: start `surgvista {self.command} …"
                f" --part {Part(lacking[0], self.part.of)}` (again), then merge"
            )

    def not_whole(self, number: int, what: str) -> UserError:
        """That a part which ended lacks something now; it may be started again for that."""
        with writing_to(self._place):
            (self._place / MERGING).unlink(missing_ok=True)
        part = Part(number, self.part.of)
        return UserError(
            f"{self.folder_of(number)}: part {part} is not whole, {what}; start `surgvista"
            f" {self.command} … --part {part}` again, then merge"
        )

    def part_of(self, items: Sequence[Item]) -> list[int]:
        """The number of the part that has each item."""
        numbers = [0] * len(items)
        for number, own in enumerate(divide([size for _, size in items], self.part.of), start=1):
            for item in own:
                numbers[item] = number
        return numbers

    def moving(self) -> None:
        """Notes that the merge moves things from here on: no part may be started again."""
        write_json(self._place / MERGING, {"of": self.part.of})

    def merged(self, own: Sequence[str]) -> None:
        """Notes, in place of the plan, that all is in its place: `sweep` may take the parts away.

        Args:
            own: patterns of the files that the command keeps in the folder of a part.
        """
        write_json(self._place / MERGED, {"own": list(own)})
        with writing_to(self._place):
            (self._place / PLAN).unlink()

    @property
    def _place(self) -> Path:
        return place_of(self.out, self.command)

    @property
    def _numbers(self) -> range:
        return range(1, self.part.of + 1)

    @property
    def _anew(self) -> str:
        return f"to begin anew, remove {self._place}"

    def _ended(self, number: int) -> dict[str, Any]:
        note = read_object(path := self._note(number))
        if note.keys() != {"status", "without"}:
            raise UserError(f"{path}: not a note of a part; {self._anew}")
        return note

    def _note(self, number: int) -> Path:
        return self._place / f"{number}.json"

    def _refuse_merging(self) -> None:
        if not self.part.is_merge and (self._place / MERGING).exists():
            raise UserError(
                f"{self.out}: its merge has begun, and a part would make again what was moved:"
                f' type `surgvista merge {self.out} --of="{self.command}"` alone'
            )

    def _compare(self, begun: Mapping[str, Any]) -> None:
        if begun["of"] != self.part.of:
            raise UserError(
                f"{self.out}: is divided into {begun['of']} parts already, not {self.part.of}:"
                f" give --part I/{begun['of']}; {self._anew}"
            )
        if begun["version"] != __version__:
            raise UserError(
                f"{self.out}: its parts were begun by version {begun['version']} of this program;"
                f" {self._anew}"
            )
        if others := differing(begun["words"], self.words):
            raise UserError(
                f"{self.out}: its parts were begun with other options: {others}; give the same"
                f" ones, or, {self._anew}"
            )
        # The merge writes the page that the first part asked for.
        pages = [options.get(_PAGE) for options in (begun["options"], self.options)]
        if pages[0] != pages[1]:
            was, now = (str(page["path"]) if page else "not given" for page in pages)
            raise UserError(
                f"{self.out}: its parts were begun with other options: --{_PAGE} was {was} and is"
                f" {now}; give the same, or, {self._anew}"
            )
