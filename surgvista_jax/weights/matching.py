"""The match of a file with a table, decided on names and shapes before a weight is read."""

import dataclasses
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from surgvista_jax.errors import UserError
from surgvista_jax.weights.differing import difference
from surgvista_jax.weights.files.read import SourceFile
from surgvista_jax.weights.fixed_positions import positions_fault
from surgvista_jax.weights.kinds import CONFIGS, encoder_of
from surgvista_jax.weights.names.entries import Entry, Shape, fits
from surgvista_jax.weights.names.prefixes import prefixes_of, stripped, unwrapped
from surgvista_jax.weights.names.table import Heads, HeadsUnknown, Incomplete, Shapes, Table

Expect = Callable[[str, Any], Any]
_SHOWN = 12  # lines of one group in the table that is printed
_FIXED = "fixed sine tables, compared with those that are computed"


@dataclasses.dataclass(frozen=True)
class Match:
    """How the names of a file match those of a table.

    Attributes:
        table: the table.
        path: the file.
        config: the model whose parameters were asked for; None where the file does not say it.
        entries: those parameters.
        names: their name in the table -> name in the file, of all that match.
        missing: asked for, and not in the file: name -> shape.
        unexpected: in the file, and not asked for: name -> shape.
        misshaped: name -> (shape in the file, shape asked for).
        left_out: name in the file -> why it may be ignored.
        prefix: what was stripped from the names in the file.
        nested: the keys under which they were found.
        passed: the keys and files that hold arrays besides, which are left alone.
        others: those of the keys that may be weights as well, as KEY of `FILE#KEY`.
        fault: why the configuration is unknown, or is not the expected one; else "".
        nearest: no table fits the file, and this is the one that comes nearest.
        named: the user, or the file, said whose names it has.
    """

    table: Table
    path: Path
    config: Any
    entries: tuple[Entry, ...] = ()
    names: dict[str, str] = dataclasses.field(default_factory=dict)
    missing: dict[str, Shape] = dataclasses.field(default_factory=dict)
    unexpected: dict[str, tuple[int, ...]] = dataclasses.field(default_factory=dict)
    misshaped: dict[str, tuple[tuple[int, ...], Shape]] = dataclasses.field(default_factory=dict)
    left_out: dict[str, str] = dataclasses.field(default_factory=dict)
    prefix: str = ""
    nested: tuple[str, ...] = ()
    passed: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    fault: str = ""
    nearest: bool = False
    named: bool = False

    @property
    def complete(self) -> bool:
        """Whether every parameter is there and every name in the file is accounted for."""
        return not (self.fault or self.missing or self.unexpected or self.misshaped)

    def summary(self) -> str:
        """One line: what was chosen, and how many names of each sort there are."""
        chosen = f"{self.path}: {self.table.title} ({self.table.name})"
        if self.nested:
            chosen += f", under {'/'.join(self.nested)}"
        if self.passed:
            chosen += f" (not {', '.join(self.passed)})"
        if self.others:
            chosen += f", {self.path.name}#{self.others[0]} takes another"
        if self.prefix:
            chosen += f", prefix {self.prefix!r} stripped"
        groups = ("names", "missing", "unexpected", "misshaped", "left_out")
        titles = ("matched", "missing", "unexpected", "mis-shaped", "left out")
        counts = [f"{len(getattr(self, g))} {t}" for g, t in zip(groups, titles, strict=True)]
        return f"{chosen}: {', '.join(counts)}"

    def text(self) -> str:
        """The summary and the table of all names that do not simply match."""
        lines = [self.summary()]
        lines += _group("missing", [f"{k} {_sizes(v)}" for k, v in self.missing.items()])
        lines += _group("unexpected", [f"{k} {_sizes(v)}" for k, v in self.unexpected.items()])
        lines += _group(
            "mis-shaped",
            [f"{k} is {_sizes(a)}, wanted {_sizes(b)}" for k, (a, b) in self.misshaped.items()],
        )
        reasons = Counter(self.left_out.values())
        lines += _group("left out", [f"{n} names: {reason}" for reason, n in reasons.items()])
        return "\n".join(lines)

    def require(self) -> None:
        """Raises UserError, one clear line and the table, unless the match is complete."""
        if self.complete:
            return
        what = f"{self.table.title} ({self.table.name})"
        line = f"{self.path}: does not hold {what} as asked for: "
        if self.nearest:
            line = f"{self.path}: no table fits; the nearest is {what}, but: "
        faults = []
        if self.missing:
            faults.append(f"{_first(self.missing)} missing")
        if self.unexpected:
            faults.append(f"{_first(self.unexpected)} unexpected")
        if self.misshaped:
            name, (found, wanted) = next(iter(self.misshaped.items()))
            more = f" and {len(self.misshaped) - 1} more" if len(self.misshaped) > 1 else ""
            faults.append(f"{name} is {_sizes(found)} instead of {_sizes(wanted)}{more}")
        if self.fault:  # first where it says why; last where it is advice
            faults.insert(len(faults) if self.nearest else 0, self.fault)
        raise UserError(f"{line}{'; '.join(faults)}\n{self.text()}")


def match_all(
    asked: Sequence[Table],
    source: SourceFile,
    expect: Expect | None,
    heads: Callable[[Table], Heads],
) -> list[Match]:
    """Matches tables with a file, as `match`.

    Only where none fits with what its family is known to put before its names may any word stand
    there, such as the name that a program gave to its model.
    """
    found = [match(table, source, expect, heads(table)) for table in asked]
    if any(one.complete for one in found):
        return found
    widely = [match(table, source, expect, heads(table), any_word=True) for table in asked]
    if not any(one.names for one in found):  # the nearest may lack some of its names
        return widely if any(one.names and not one.fault for one in widely) else found
    return widely if any(one.complete for one in widely) else found


def match(
    table: Table,
    source: SourceFile,
    expect: Expect | None,
    heads: Heads,
    any_word: bool = False,
) -> Match:
    """Matches a table with a file.

    Args:
        table: which names to look for.
        source: the file.
        expect: (kind of content, what the file says or None) -> what must come out, of which
            drop path and the scales' start value are taken, which no file records; None trusts
            the file.
        heads: (width, depth, part) -> attention heads.
        any_word: see `prefixes_of`.
    """
    names = [unwrapped(name) for name in source.arrays]
    tried = [
        _match_stripped(table, source, prefix, expect, heads)
        for prefix in prefixes_of(names, table.prefixes, any_word)
    ]
    return max(tried, key=lambda found: (len(found.names), not found.fault))


def _match_stripped(
    table: Table, source: SourceFile, prefix: str, expect: Expect | None, heads: Heads
) -> Match:
    rests = {name: unwrapped(name).removeprefix(prefix) for name in source.arrays}
    in_file = {_canonical(table, rest): name for name, rest in rests.items()}
    shapes = {name: source.arrays[original].shape for name, original in in_file.items()}
    base = Match(
        table,
        source.path,
        None,
        nested=source.nested,
        passed=source.passed,
        others=source.others,
    )
    if len(in_file) < len(source.arrays):
        return dataclasses.replace(base, fault="several of its names become the same one")
    config, fault = _inferred(table, shapes, heads)
    if expect is not None and (expected := expect(table.kind, config)) is not None:
        fault = fault if config is None else difference(config, expected) or fault
        config = expected if isinstance(expected, CONFIGS[table.kind]) else None
    if config is None:
        return dataclasses.replace(base, fault=fault)

    entries = tuple(table.entries(config))
    wanted = {name: shape for entry in entries for name, shape in entry.expected.items()}
    misshaped = {
        name: (shapes[name], shape)
        for name, shape in wanted.items()
        if name in shapes and not fits(shapes[name], shape)
    }
    left_out = _left_out(table, shapes.keys() - wanted.keys())
    names = {k: in_file[k] for k in wanted if k in shapes and k not in misshaped}
    bare = [name for name in names.values() if not unwrapped(name).startswith(prefix)]
    if bare and not fault:
        fault = f"{prefix!r} stands before only some of its names, not before {bare[0]!r}"
    found = dataclasses.replace(
        base,
        config=config,
        entries=entries,
        names=names,
        missing={name: shape for name, shape in wanted.items() if name not in shapes},
        unexpected={k: v for k, v in shapes.items() if k not in wanted and k not in left_out},
        misshaped=misshaped,
        left_out={in_file[name]: reason for name, reason in left_out.items()},
        prefix=next((stripped(name, rests[name]) for name in names.values()), prefix),
        fault=fault,
    )
    fixed = [name for name, reason in found.left_out.items() if reason == _FIXED]
    if found.complete and fixed:
        encoder = encoder_of(config)
        assert encoder is not None  # whose positions are fixed
        form = encoder.positions
        faults = (positions_fault(name, source.arrays[name], form) for name in fixed)
        found = dataclasses.replace(found, fault=next(filter(None, faults), ""))
    return found


def _left_out(table: Table, names: Iterable[str]) -> dict[str, str]:
    """Of these names, those that may be ignored, and why."""
    patterns = table.left_out + (((table.fixed, _FIXED),) if table.fixed else ())
    return {
        name: reason
        for name in sorted(names)
        for pattern, reason in patterns[::-1]  # the first that fits comes last, and stays
        if re.fullmatch(pattern, name)
    }


def _inferred(table: Table, shapes: Shapes, heads: Heads) -> tuple[Any, str]:
    """The configuration that names and shapes imply, and what contradicts it."""
    try:
        return table.infer(shapes, heads), ""
    except HeadsUnknown as error:  # everything but them can be compared
        config, fault = _inferred(table, shapes, lambda width, depth, part: 1)
        return config, fault or str(error)
    except Incomplete as error:
        return error.config, str(error)
    except UserError as error:
        return None, str(error)
    except ValueError as error:  # sizes that no model here can have
        return None, f"its sizes do not make a model ({error})"


def _canonical(table: Table, name: str) -> str:
    for pattern, replacement in table.spellings:
        name = re.sub(pattern, replacement, name)
    return name


def _sizes(shape: Iterable[int | None]) -> str:
    return "[" + ", ".join("any" if size is None else str(size) for size in shape) + "]"


def _first(names: dict) -> str:
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    return f"{next(iter(names))!r}{more}"


def _group(title: str, rows: list[str]) -> list[str]:
    rest = [f"… and {len(rows) - _SHOWN} more"] if len(rows) > _SHOWN else []
    return [f"  {title:<11}{row}" for row in rows[:_SHOWN] + rest]
