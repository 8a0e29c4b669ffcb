"""From a study's file to its cells."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import ml_collections

from surgvista_jax.checks import shortened
from surgvista_jax.config.code import failed, find_config, run_config, run_file
from surgvista_jax.config.overrides import apply_override
from surgvista_jax.errors import UserError
from surgvista_jax.studies.cells import Cell


@dataclass(frozen=True)
class Study:
    """What a file of a study says.

    Attributes:
        name: of the file.
        title: the first line of its docstring.
        cells: in the order in which they are told.
        ours: the backbone of which is asked whether it is better than each other; "": none.
        ordered: whether each backbone should be better than the one before it.
    """

    name: str
    title: str
    cells: tuple[Cell, ...]
    ours: str = ""
    ordered: bool = False


def read_study(spec: str, overrides: Sequence[str] = ()) -> Study:
    """Runs a study's file.

    Args:
        spec: "FILE.py" or "FILE.py:ARGUMENT", which goes to `get_config`.
        overrides: words such as "--config.seeds=5", in order.

    Raises:
        UserError: there is no such file, an override does not fit, the file fails, or its cells do
            not make a study.
    """
    path, _, argument = spec.partition(":")
    file = find_config(path)
    module = run_file(file, str(file))
    if not callable(getattr(module, "study", None)):
        raise UserError(f"{file}: the file defines no function study")
    config = ml_collections.ConfigDict()
    if hasattr(module, "get_config"):
        config = run_config(file, argument)
    elif argument or overrides:
        raise UserError(f"{file}: defines no get_config, whose values could be replaced")
    for word in overrides:
        apply_override(config, word)
    try:
        returned = module.study(config.lock())
        if isinstance(returned, str | Mapping | Cell) or not isinstance(returned, Iterable):
            raise UserError(f"study() returns {shortened(returned)}, which is no list of cells")
        cells = tuple(returned)
    except UserError as error:
        raise UserError(f"{file}: {error}") from error
    except (Exception, SystemExit) as error:
        raise failed(file, error, str(file)) from error
    title = (module.__doc__ or "").strip().partition("\n")[0]
    _check(file, cells)
    ours = str(config.get("ours", ""))
    if ours and ours not in {cell.backbone.name for cell in cells}:
        raise UserError(f"{file}: config.ours={ours!r}: no cell has these weights")
    return Study(file.stem, title, cells, ours, bool(config.get("ordered", False)))


def _check(file: Path, cells: Sequence[object]) -> None:
    """Refuses what is no list of cells, and cells that would share a folder."""
    if not cells:
        raise UserError(f"{file}: study() returns no cells")
    seen: dict[str, object] = {}
    parts: dict[tuple[str, str], object] = {}
    for cell in cells:
        if not isinstance(cell, Cell):
            raise UserError(f"{file}: study() returns {type(cell).__name__} among its cells")
        if cell.name in seen:
            raise UserError(f"{file}: the cell {cell.name} is there twice")
        seen[cell.name] = cell
        backbone, data, start = cell.backbone, cell.data, cell.backbone.start
        named: list[tuple[str, str, object]] = [
            ("weights", backbone.name, backbone),
            ("data", data.name, data),
        ]
        if not isinstance(start, str):
            named.append(("pretraining", start.name, start))
            named += [("data", seen.name, seen) for seen in start.data]
        for kind, name, part in named:
            if parts.setdefault((kind, name), part) != part:
                raise UserError(f"{file}: two different {kind} are called {name}")
