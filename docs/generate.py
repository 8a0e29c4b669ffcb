"""Which pages, and parts of pages, are made of the facts in the package? A hook of `mkdocs build`.

A line `<!-- made: NAME -->` of a page is replaced by the part of that name. The page of each
dataset exists in the built documentation alone, as does its home page, which is README.md.
"""

import argparse
import importlib
import inspect
import os
import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any
from unittest import mock

from surgvista_jax.__main__ import COMMANDS
from surgvista_jax.data import datasets
from surgvista_jax.data.conversion.official import Counts, Official
from surgvista_jax.facts.tasks import NONE
from surgvista_jax.metrics.named_protocols import PROTOCOLS
from surgvista_jax.weights import tables
from surgvista_jax.weights.names.table import in_words

ROOT = Path(__file__).resolve().parents[1]
MADE = re.compile(r"^<!-- made: (\w+) -->$", re.MULTILINE)
_PIXELS = ("student", "encoder", "classifier", "teacher")  # whose pixels a name decides


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages that are made as a whole; mkdocs calls it."""
    from mkdocs.structure.files import File

    for path, text in pages().items():
        files.append(File.generated(config, path, content=text))
    return files


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fills in the parts of a page that are made; mkdocs calls it."""
    return filled(markdown)


def pages() -> dict[str, str]:
    """Path below docs/ -> Markdown, of the pages that are not in the repository."""
    home = (ROOT / "README.md").read_text(encoding="utf-8").replace("](docs/", "](")
    known = datasets.registry().values()
    return {"index.md": home, **{f"datasets/{each.name}.md": _dataset(each) for each in known}}


def filled(markdown: str) -> str:
    """A page with the parts that are made of facts."""
    return MADE.sub(lambda found: PARTS[found[1]](), markdown)


def _dataset(official: Official) -> str:
    """All about one dataset, as its reader knows it."""
    said = {
        "Task": official.task if official.task != NONE else "none: for pretraining",
        "Procedure": official.procedure,
        "Centre": official.centre,
        "Licence": official.licence,
        "Ask at": official.access,
        "Cite": official.citation,
    }
    facts = {
        **{key: _cell(text) for key, text in said.items()},
        "Frames kept": f"{official.extract.fps:g} a second"
        + "; black margins are cut off" * official.extract.cut_margins,
        "Configurations": ", ".join(f"`{path}`" for path in _configurations(official)),
        "Protocols": ", ".join(f"[`{n}`](../protocols.md#{n})" for n in _protocols(official)),
    }
    parts = [
        f"# {official.title}",
        "One of the [published datasets](../datasets.md).",
        _table(["", f"`{official.name}`"], [[k, v] for k, v in facts.items() if v]),
        "## The folder that is expected",
        f"```text\n{official.layout}\n```",
        f"```sh\nsurgvista data convert {official.name} --source SOURCE"
        f" --out DATA/{official.name}\nsurgvista data check DATA/{official.name}\n```",
    ]
    if official.published:
        rows = [[f"`{name}`", *_numbers(counts)] for name, counts in official.published.items()]
        parts += [
            "## Splits, as published",
            "A dash stands where no number is published.",
            _table(["split", "videos", "frames"], rows),
        ]
    if official.classes:
        kind = "several at a time" if official.label_kind == "multi" else "one at a time"
        rows = [[str(index), _cell(name)] for index, name in enumerate(official.classes)]
        parts += [f"## {len(official.classes)} classes, {kind}", _table(["id", "class"], rows)]
    confirmed = _confirmed(official)
    if confirmed:
        parts += ["## What is confirmed, and by whom", confirmed]
    return "\n\n".join(parts) + "\n"


def _confirmed(official: Official) -> str:
    """What stands at the head of its reader's file, but for the first line."""
    read = getattr(official.read, "func", official.read)
    head = inspect.getdoc(importlib.import_module(read.__module__)) or ""
    return "\n".join(head.splitlines()[1:]).strip()


def _configurations(official: Official) -> list[str]:
    """Those of the benchmark that are called as it is."""
    name = official.name.replace("-", "_")
    paths = [ROOT / "configs" / kind / f"{name}.py" for kind in ("finetune", "probe")]
    return [str(path.relative_to(ROOT)) for path in paths if path.exists()]


def _protocols(official: Official) -> list[str]:
    """Names of the protocols that can score it: those of its classes, then those of any."""
    if official.task == NONE:
        return []
    about = official.task, official.label_kind, official.classes
    fitting = [p for p in PROTOCOLS.values() if not p.misfit(*about)]
    own = [p for p in fitting if _spelled(p.class_names) == _spelled(official.classes)]
    open_to_all = [p for p in fitting if not p.class_names]
    of_its_task = [p for p in open_to_all if p.task == official.task]
    return [p.name for p in own + (of_its_task or open_to_all)]


def _spelled(classes: Sequence[str]) -> list[str]:
    """Names of classes, of which a triplet's parts may be separated by blanks too."""
    return [name.replace(", ", ",") for name in classes]


def _numbers(counts: Counts) -> list[str]:
    return ["–" if n is None else f"{n:,}" for n in (counts.videos, counts.frames)]


def _datasets() -> str:
    """A row for each dataset."""
    rows = []
    for official in datasets.registry().values():
        usual = {name: c for name, c in official.published.items() if "/" not in name}
        videos = ", ".join(f"{name} {_numbers(c)[0]}" for name, c in usual.items())
        task = official.task if official.task != NONE else "pretraining"
        link = f"[{_cell(official.title)}](datasets/{official.name}.md)"
        number = str(len(official.classes) or "–")
        rows.append([f"`{official.name}`", link, task, number, videos or "–", official.procedure])
    return _table(["name", "dataset", "task", "classes", "videos", "procedure"], rows)


def _all_protocols() -> str:
    """A section for each protocol."""
    parts = []
    for protocol in PROTOCOLS.values():
        about = [f"task {protocol.task}", f"version {protocol.version}", f"`{protocol.digest}`"]
        if protocol.fps is not None:
            about.append(f"{protocol.fps:g} frame a second")
        scores = ", ".join(f"`{key}`" for key in protocol.primary)
        parts += [
            f"## {protocol.name}",
            f"{'; '.join(about)}. Reported first, and tested: {scores}.",
            textwrap.fill(_text(protocol.text), 100, break_long_words=False),
        ]
        if protocol.splits:
            parts.append("\n".join(f"- {split.name}" for split in protocol.splits))
    return "\n\n".join(parts)


def _weights() -> str:
    """A row for each table of names."""
    rows = []
    for table in tables.registry().values():
        pixels = in_words(table.pixels) if table.kind in _PIXELS else "those of its program"
        row = [table.title, table.kind, pixels, table.licence, table.source]
        rows.append([f"`{table.name}`", *map(_cell, row)])
    header = ["name", "what it is", "kind", "pixels", "licence of the weights", "described in"]
    return _table(header, rows)


def _commands() -> str:
    """What each command says of itself by `--help`."""
    parts = []
    for words, line in commands():
        with mock.patch.dict(os.environ, COLUMNS="80"):
            said = parser_of(words, line).format_help().strip()
        parts += [f"## surgvista {' '.join(words)}", f"```text\n{said}\n```"]
    return "\n\n".join(parts)


def commands(table: Mapping[str, Any] = COMMANDS) -> Iterator[tuple[list[str], str]]:
    """Each command's words and its line of help."""
    for name, entry in table.items():
        if isinstance(entry, str):
            yield [name], entry
        else:
            yield from (([name, *words], line) for words, line in commands(entry))


def parser_of(words: list[str], line: str) -> argparse.ArgumentParser:
    """The parser of a command, without its main program."""
    name = " ".join(words)
    parser = argparse.ArgumentParser(f"surgvista {name}", description=line, allow_abbrev=False)
    importlib.import_module(f"surgvista_jax.commands.{'_'.join(words)}").add_arguments(parser)
    return parser


def _card() -> str:
    """The card of the weights that come with the package, its headings below those of a page."""
    folder = resources.files("surgvista_jax.weights.shipped")
    card = folder.joinpath("demo_student.safetensors.md").read_text(encoding="utf-8")
    return re.sub(r"^#", "##", card.strip(), flags=re.MULTILINE)


def _table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(text: str) -> str:
    """Text as a cell of a table shows it; addresses become links."""
    return _text(text).replace("|", r"\|").replace("\n", " ")


def _text(text: str) -> str:
    """Text as it is, in Markdown; addresses become links."""
    pieces = re.split(r"(https?://[^\s;,)]+)", text)
    pieces[::2] = [re.sub(r"([*_<>\[\]])", r"\\\1", piece) for piece in pieces[::2]]
    pieces[1::2] = [f"<{address}>" for address in pieces[1::2]]
    return "".join(pieces)


PARTS = {
    "datasets": _datasets,
    "protocols": _all_protocols,
    "weights": _weights,
    "commands": _commands,
    "card": _card,
}
