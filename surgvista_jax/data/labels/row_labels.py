"""Which classes one row of a CSV file names."""

from dataclasses import dataclass

from surgvista_jax.data.labels.names import ClassNames
from surgvista_jax.data.labels.tables import Row, unguarded
from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import is_number, is_unlabelled, near, same_class
from surgvista_jax.facts.tasks import NONE, TASKS


@dataclass(frozen=True)
class LabelColumns:
    """Where in a row the labels of a task are.

    Attributes:
        task: one of `facts.tasks.TASKS`, or "none".
        column: the column; None: `label`, or that of the task.
        told: keys (`facts.spelling.same_class`) of the classes that the user names: they are
            classes even where their names look like no label.
    """

    task: str
    column: str | None = None
    told: frozenset[str] = frozenset()

    @property
    def multi(self) -> bool:
        """Whether a frame may have several classes."""
        return self.task != NONE and TASKS[self.task].label_kind == "multi"

    @property
    def one_each(self) -> str:
        """How the columns begin where each class has its own; else ""."""
        usual = "" if self.task == NONE else TASKS[self.task].column
        return usual if self.column is None and usual.endswith("_") else ""

    def of(self, row: Row) -> list[str]:
        """The columns of labels.

        Raises:
            UserError: there is none.
        """
        if self.one_each:
            columns = [name for name in row.cells if name.startswith(self.one_each)]
        else:
            choices = [self.column] if self.column else [TASKS[self.task].column, "label"]
            columns = [name for name in choices if name in row.cells][:1]
        if not columns:
            wanted = self.one_each or self.column or "label"
            raise UserError(
                f"{row.where}: no column of labels ({wanted!r}){near(wanted, [*row.cells])}; "
                "--column names it, there are " + ", ".join(row.cells)
            )
        return columns

    def names(self, row: Row) -> list[str]:
        """All classes that a row speaks of, on or not."""
        columns = self.of(row)
        if not self.one_each:
            return [] if self._unlabelled(row) else _parts(row.cells[columns[0]], self.multi)
        names = [name.removeprefix(self.one_each) for name in columns]
        keys = [same_class(name) for name in names]
        twice = [name for k, name in enumerate(names) if keys[k] in keys[:k]]
        if twice:
            raise UserError(f"{row.where}: the class of column {twice[0]!r} has two columns")
        return names

    def _unlabelled(self, row: Row) -> str:
        """The text that says that a row has no label; "" where it has one, or none of several."""
        texts = [row.cells[column].strip() for column in self.of(row)]
        marks = [t for t in texts if is_unlabelled(t) and same_class(t) not in self.told]
        if self.one_each and 0 < len(marks) < len(texts):
            raise UserError(f"{row.where}: {marks[0]!r} beside classes that are told")
        if len(marks) < len(texts):
            return ""
        return marks[0] or ("an empty cell" if self.one_each else "")


@dataclass(frozen=True)
class Found:
    """What a row says: the classes that are on, as spelled and by id; or that it has no label."""

    classes: tuple[tuple[str, int], ...] = ()
    unlabelled: str = ""


def found_in(row: Row, columns: LabelColumns, names: ClassNames) -> Found:
    """The classes that are on in a row.

    Raises:
        UserError: an unknown class, a cell that says nothing.
    """
    if text := columns._unlabelled(row):
        return Found(unlabelled=text)
    if columns.one_each:
        on = [name.removeprefix(columns.one_each) for name in columns.of(row) if _is_on(row, name)]
    else:
        on = _parts(row.cells[columns.of(row)[0]], columns.multi)
    for name in on:
        key = same_class(name)
        if columns.multi and is_unlabelled(name) and key not in columns.told:
            raise UserError(f"{row.where}: {name!r} beside classes that are told")
        if key.startswith("-") and is_number(key) and key not in columns.told:
            raise UserError(
                f"{row.where}: class {name!r}: only -1 and -100 say that there is none; --classes "
                "names it if it is one"
            )
    return Found(tuple((name, names.id_of(name, row.where)) for name in on))


def _parts(text: str, several: bool) -> list[str]:
    parts = text.split(";") if several else [text]
    return [unguarded(part.strip()) for part in parts if part.strip()]


def _is_on(row: Row, column: str) -> bool:
    number = same_class(row.cells[column])
    if number not in ("0", "1"):
        raise UserError(f"{row.where}: column {column!r} must be 0 or 1")
    return number == "1"
