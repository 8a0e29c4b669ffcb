"""Does a real shell complete commands, options and files by the scripts that are printed?"""

import argparse
import shutil
import subprocess

import pytest

from surgvista_jax.__main__ import COMMANDS, main, whole_parser
from surgvista_jax.commands import completion

# Calls what bash would call at the Tab key, the cursor at the end of the last word.
_TAB = """
source "$1"; shift
[[ $(complete -p surgvista) =~ -F\\ ([^ ]+) ]] || exit 3
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
"${BASH_REMATCH[1]}" 2>/dev/null  # compopt complains outside of a Tab key
((${#COMPREPLY[@]})) && printf '%s\\n' "${COMPREPLY[@]}"
exit 0
"""


@pytest.fixture(scope="module")
def scripts(tmp_path_factory):
    """The script for each shell, in a file."""
    folder = tmp_path_factory.mktemp("completion")
    paths = {}
    for shell in completion.SHELLS:
        paths[shell] = folder / f"surgvista.{shell}"
        paths[shell].write_text(completion.script(whole_parser(), shell))
    return paths


@pytest.fixture
def tab(scripts, tmp_path):
    """What bash offers for a line of words, in a folder with a file and a folder."""
    (tmp_path / "run.json").touch()
    (tmp_path / "runs").mkdir()

    def press(*words):
        command = ["bash", "--norc", "-c", _TAB, "bash", str(scripts["bash"]), *words]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        return set(done.stdout.split())

    return press


FILES = {"run.json", "runs"}
LINES = {
    "surgvista da": {"data"},
    "surgvista data conv": {"convert"},
    "surgvista data check --no": {"--no-frames"},
    "surgvista pretrain --workd": {"--workdir"},
    "surgvista data check ru": FILES,
    "surgvista predict --checkpoint ru": FILES,
    # bash takes an option with = for three words
    "surgvista pretrain --config = ru": FILES,
    "surgvista pretrain --config =": FILES,
    "surgvista evaluate --protocol = phase-str": {"phase-strict"},
    "surgvista data convert cholec80-": {"cholec80-cvs"},
    "surgvista completion f": {"fish"},
}


@pytest.mark.parametrize("line", LINES)
def test_bash_completes(line, tab):
    assert tab(*line.split()) == LINES[line]


def test_bash_offers_every_command(tab):
    assert tab("surgvista", "") == set(COMMANDS)
    assert tab("surgvista", "bench", "") == set(COMMANDS["bench"])


def test_every_path_completes_to_files():
    parser = whole_parser()
    completion.script(parser, "bash")
    left = [
        (command, action.dest)
        for command, action in completion._actions(parser, "")
        if isinstance(action, argparse._StoreAction)
        and action.type is completion.Path
        and not hasattr(action, "complete")
    ]
    assert not left


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_the_other_shells_read_their_script(shell, scripts):
    text = scripts[shell].read_text()
    for name, entry in COMMANDS.items():
        assert name in text and all(child in text for child in entry if isinstance(entry, dict))
    if shutil.which(shell):
        subprocess.run([shell, "-n", str(scripts[shell])], check=True)


@pytest.mark.skipif(not shutil.which("fish"), reason="needs fish")
@pytest.mark.parametrize(
    ("line", "offered"), [("data conv", "convert"), ("pretrain --config=ru", "--config=run.json")]
)
def test_fish_completes(line, offered, scripts, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "run.json").touch()
    press = f"source '{scripts['fish']}'; complete -C 'surgvista {line}'"
    command = ["fish", "--no-config", "-c", press]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert [found.split("\t")[0] for found in done.stdout.splitlines()] == [offered]


def test_it_is_printed_and_another_shell_is_refused(capsys, scripts):
    assert main(["completion", "bash"]) == 0
    assert capsys.readouterr().out == scripts["bash"].read_text() + "\n"
    with pytest.raises(SystemExit) as left:
        main(["completion", "ksh"])
    assert left.value.code == 2
