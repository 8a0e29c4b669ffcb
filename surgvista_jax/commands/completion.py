"""The command `surgvista completion`: a script by which a shell completes what is typed."""

import argparse
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import shtab

from surgvista_jax.data import datasets
from surgvista_jax.metrics.named_protocols import PROTOCOLS

SHELLS = ("bash", "zsh", "fish")
# Words of an option's metavar, where it is not of the type Path, that stand for files or folders.
_FILES = re.compile("FILE|FOLDER|DIR|WEIGHTS|CHECKPOINT|PREDICTIONS|DATASET|VIDEO")
# Bash takes `--out=FILE` for three words, of which shtab knows two; and where shtab knows no word,
# bash completes files.
_BASH = """
_surgvista() {
  local -a words=("${COMP_WORDS[@]}") kept=()
  local -i last=$COMP_CWORD i
  for ((i = 0; i <= last; i++)); do
    if [[ ${words[i]} != "=" ]]; then
      kept+=("${words[i]}")
    elif ((i == last)); then
      kept+=("")
    fi
  done
  local -a COMP_WORDS=("${kept[@]}")
  local -i COMP_CWORD=$((${#kept[@]} - 1))
  _shtab_surgvista
}

complete -o bashdefault -o default -F _surgvista surgvista
"""
# fish completes the file after `--out=` too, if it is told that there is one.
_FISH_FILE = '-xka "(__fish_complete_path (commandline -ct))"'
# An option of zsh's that takes a value: `--out FILE`, and with this `--out=FILE` too.
_ZSH_OPTION = re.compile(r'^(\s*"\*?--[\w-]+)(\[(?:[^]\\]|\\.)*\]:)', re.M)
_WHERE = """\
Where each looks for it (bash with the package bash-completion; a folder may have to be made):
  surgvista completion bash > ~/.local/share/bash-completion/completions/surgvista
  surgvista completion zsh > ~/.zfunc/_surgvista     # fpath+=~/.zfunc, before compinit in ~/.zshrc
  surgvista completion fish > ~/.config/fish/completions/surgvista.fish
For one session of bash: source <(surgvista completion bash). Write it anew after an upgrade.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `surgvista completion`."""
    parser.add_argument("shell", choices=SHELLS)
    parser.epilog = _WHERE
    parser.formatter_class = argparse.RawDescriptionHelpFormatter


def main(arguments: argparse.Namespace) -> None:
    """Prints the script: it knows all commands and options, and starts nothing of ours."""
    print(script(arguments.whole_parser(), arguments.shell))


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The script for a shell.

    Args:
        parser: of all commands; what its options complete to is noted in it.
    """
    names: dict[str, Iterable[str]] = {
        "evaluate --protocol": PROTOCOLS,
        "data list name": datasets.registry(),
        "data convert format": datasets.registry(),
    }
    for command, action in _actions(parser, ""):
        known = names.get(f"{command} {[*action.option_strings, action.dest][0]}")
        if known is not None:
            action.choices = sorted(known)
        elif action.choices is None and _is_file(action):
            action.complete = shtab.FILE  # type: ignore[attr-defined]
        if action.option_strings:
            action.metavar = action.dest  # zsh would read on where a colon stands
    text = shtab.complete(parser, shell)
    if shell == "bash":
        return text + _BASH
    if shell == "fish":
        return text.replace(_FISH_FILE, "-rF")
    return _ZSH_OPTION.sub(r"\1=\2", text)


def _actions(
    parser: argparse.ArgumentParser, command: str
) -> Iterator[tuple[str, argparse.Action]]:
    """All options and arguments, each with the words of its command."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, below in action.choices.items():
                yield from _actions(below, f"{command} {name}".strip())
        else:
            yield command, action


def _is_file(action: argparse.Action) -> bool:
    if action.nargs == 0:
        return False
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    return action.type is Path or bool(_FILES.search(metavar))
