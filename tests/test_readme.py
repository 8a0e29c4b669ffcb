"""Is what README and docs/ say there: files and rooms, links, commands, options, keys?

Options are read by the commands' own parsers, keys looked up in the configurations' dataclasses.
"""

import argparse
import dataclasses
import re
import shlex
import typing
from collections.abc import Mapping
from pathlib import PurePosixPath

import pytest

from docs import generate, plans
from surgvista_jax.__main__ import in_full
from surgvista_jax.config import load_config, run_config
from surgvista_jax.config.parts import dataclass_in, mappings_in
from surgvista_jax.data import datasets
from surgvista_jax.metrics.named_protocols import PROTOCOLS
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.programs import program_of
from surgvista_jax.tasks.temporal.config import TemporalConfig
from surgvista_jax.training.agreement import flat
from surgvista_jax.weights import tables
from tests.support import documentation
from tests.support.documentation import README, blocks, prose
from tests.support.places import ROOT

WRITTEN, BUILT = documentation.written(), documentation.built()
COMMANDS = {tuple(words): line for words, line in generate.commands()}
GROUPS = [list(words[:1]) for words in COMMANDS if len(words) == 2]
CONFIGS = (PretrainConfig, FinetuneConfig, TemporalConfig)


def anchors(text: str) -> set[str]:
    """Those of a page's headings, by the rule that GitHub and mkdocs share."""
    names = re.findall(r"^#+ (.*)$", prose(text), re.M)
    plain = [re.sub(r"[^\w\s-]", "", re.sub(r"\[(.*?)\]\(.*?\)", r"\1", n)) for n in names]
    return {re.sub(r"[-\s]+", "-", name.strip().lower()) for name in plain}


def links(text: str) -> list[tuple[str, str]]:
    """The page and the anchor of each link that is no address."""
    found = re.findall(r"\]\(([^)\s]+)\)", prose(text))
    return [(x.partition("#")[0], x.partition("#")[2]) for x in found if "://" not in x]


def test_every_link_of_the_built_pages_leads_somewhere():
    dead = []
    for name, text in BUILT.items():
        for page, anchor in links(text):
            place = str(_joined(name, page)) if page else name
            of_code = place.startswith("api/") and anchor.startswith("surgvista_jax.")
            if place not in BUILT and not (ROOT / "docs" / place).is_file():
                dead.append(f"{name} -> {page}")
            elif of_code:
                module = anchor.rpartition(".")[0]
                assert f"::: {anchor}\n" in BUILT[place] or f"::: {module}\n" in BUILT[place]
            elif anchor and anchor not in anchors(BUILT[place]):
                dead.append(f"{name} -> {page}#{anchor}")
    assert dead == []


def _joined(name: str, page: str) -> PurePosixPath:
    """Where a link of a page leads, below docs/."""
    parts: list[str] = []
    for part in (PurePosixPath(name).parent / page).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return PurePosixPath(*parts)


def test_every_link_of_the_repository_is_a_file_of_it():
    for name, text in WRITTEN.items():
        folder = ROOT if name == README else (ROOT / "docs" / name).parent
        assert [page for page, _ in links(text) if not (folder / page).exists()] == [], name


def test_every_page_is_in_the_menu():
    menu = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.M)
    assert len(menu) == len(set(menu))
    assert {name for name in BUILT if not name.startswith("datasets/")} == set(menu)


def command_lines() -> list[tuple[str, str]]:
    """Page and line of each command in the blocks of shell."""
    lines = []
    for name, text in WRITTEN.items():
        for block in blocks(text, "sh"):
            joined = block.replace("\\\n", " ").splitlines()
            lines += [(name, line) for line in joined if "surgvista " in line]
    return lines


def words_of(line: str) -> list[str]:
    """The words of the line's command after `surgvista`; `…` stands for more of them."""
    for part in re.split(r" (?:\||&&|>) ", line):
        words = shlex.split(re.sub(r"^(?:[A-Z_]+=\S+ +)*", "", part), comments=True)
        if words and words[0].rpartition("/")[2] == "surgvista":
            return [word for word in words[1:] if word != "…"]
    return []


def parser_for(words: list[str]) -> tuple[argparse.ArgumentParser, list[str]]:
    """The parser of the command that words name, and the words that it is given."""
    words = in_full(words)
    for length in (2, 1):
        name = tuple(words[:length])
        if name in COMMANDS:
            return generate.parser_of(list(name), COMMANDS[name]), words[length:]
    raise AssertionError(f"no such command: {' '.join(words)}")


def test_every_command_line_is_one_that_its_parser_takes(capsys):
    lines = command_lines()
    assert len(lines) > 50
    for name, line in lines:
        words = words_of(line.replace("anatomy ", "tool "))  # a task that its page adds
        if not words:
            continue
        parser, given = parser_for(words)
        try:
            found = parser.parse_args([w for w in given if not w.startswith("--config.")])
        except SystemExit:
            pytest.fail(f"{name}: {line}\n{capsys.readouterr().err}")
        overridden = [w for w in given if w.startswith("--config.")]
        assert not overridden or hasattr(found, "config") or words[0] == "demo", line
        config = getattr(found, "config", None) or ""
        if config.startswith("configs/"):
            load_config(config, _class_of, overridden)


def _class_of(values: Mapping) -> type:
    return PretrainConfig if "mask" in values else program_of(values).config


def test_every_option_in_the_text_is_one_of_the_command_beside_it():
    for name, text in WRITTEN.items():
        for code in re.findall(r"`surgvista ([^`]+)`", prose(text)):
            words = code.split()
            if any("|" in word for word in words[:2]) or words in GROUPS:
                continue  # several commands at once
            parser, given = parser_for(words)
            known = {option for action in parser._actions for option in action.option_strings}
            asked = {w.strip("[]").partition("=")[0] for w in given if w.lstrip("[")[:2] == "--"}
            asked = {option for option in asked if not option.startswith("--config.")}
            assert asked <= known, f"{name}: {code}"


def keys(cls: type, before: str = "") -> set[str]:
    """Every key of a configuration, "a.b" where a part has a part."""
    found = set()
    for field, hint in typing.get_type_hints(cls).items():
        found.add(before + field)
        part = dataclass_in(hint)
        if part is not None:
            found |= keys(part, f"{before}{field}.")
    return found


def test_every_key_of_a_configuration_is_one():
    known = set().union(*map(keys, CONFIGS))
    assert {"clip.num_frames", "probe.epochs", "teacher.transformer.width"} <= known
    asked = {
        (name, key)
        for name, text in WRITTEN.items()
        for key in re.findall(r"--config\.([\w.]+\w)", text)
    }
    assert len(asked) > 30
    for study in (ROOT / "configs" / "studies").glob("*.py"):
        known |= set(flat(run_config(study).to_dict()))
    any_name = set().union(*map(mappings_in, CONFIGS))
    known |= {key for _, key in asked if key.rpartition(".")[0] in any_name}
    assert sorted(n for n in asked if n[1] not in known and n[1] not in ("a.b", "KEY")) == []


def test_what_is_made_of_facts_is_all_of_them():
    for official in datasets.registry().values():
        page = BUILT[f"datasets/{official.name}.md"]
        assert f"# {official.title}\n" in page and official.layout in page
        assert all(f"| {index} |" in page for index in range(len(official.classes)))
        assert f"(datasets/{official.name}.md)" in BUILT["datasets.md"]
    for protocol in PROTOCOLS.values():
        assert f"## {protocol.name}\n" in BUILT["protocols.md"]
        assert protocol.digest in BUILT["protocols.md"]
    assert all(f"\n| `{name}` |" in BUILT["weight-names.md"] for name in tables.registry())
    assert all(f"## surgvista {' '.join(words)}\n" in BUILT["commands.md"] for words in COMMANDS)
    assert not [name for name, text in BUILT.items() if generate.MADE.search(text)]


def test_the_tables_of_plans_are_what_the_command_says():
    assert plans.row_of_one("finetuning", "h100") in WRITTEN["plans.md"].splitlines()


def test_each_part_of_a_configuration_has_its_place_in_the_reference():
    page = WRITTEN["api/configuration.md"]
    modules = re.findall(r"^::: (\S+)$", page, re.M)
    for config in CONFIGS:
        for part in {config, *_parts(config)}:
            name = f"{part.__module__}.{part.__qualname__}"
            assert name in modules or part.__module__ in modules, name


def _parts(cls: type) -> set[type]:
    parts = {dataclass_in(hint) for hint in typing.get_type_hints(cls).values()} - {None}
    assert all(map(dataclasses.is_dataclass, parts))
    return parts | {below for part in parts for below in _parts(part)}


def test_the_layout_names_rooms_that_there_are():
    tree = WRITTEN["layout.md"].split("```\nsurgvista_jax/\n")[1].split("```")[0]
    rooms = {name.strip("/") for name in re.findall(r"^ {2}(\w+(?:\.py|/))", tree, re.M)}
    rooms |= set(re.findall(r"(?:, )(\w+\.py)", tree.split("the ground")[1].splitlines()[1]))
    there = {path.name for path in (ROOT / "surgvista_jax").iterdir()}
    assert rooms == {name for name in there if not re.fullmatch(r"__(init|pycache)__.*", name)}


def test_files_that_are_named_are_there():
    new = ("hernia.py", "scoring_anatomy.py")
    for name, text in WRITTEN.items():
        named = re.findall(
            r"(?:surgvista_jax|configs|launch|tests|docs)/[\w/]+(?:\.py|\.sh|/)", text
        )
        gone = [n for n in named if not n.endswith(new) and not (ROOT / n).exists()]
        assert gone == [], name


def test_the_versions_of_python_are_those_that_install():
    project = (ROOT / "pyproject.toml").read_text()
    asked = re.search(r'requires-python = ">=3\.(\d+),<3\.(\d+)"', project)
    assert asked is not None
    said = f"Python 3.{asked[1]} to 3.{int(asked[2]) - 1}"
    for name in (README, "getting-started.md", "troubleshooting.md"):
        assert said in WRITTEN[name], name
