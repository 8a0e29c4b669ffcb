"""The command line: `surgvista COMMAND` and `python -m surgvista_jax COMMAND`.

Loader workers import this module again when they start, so it stays small: a command's module is
imported when that command runs.
"""

import _thread
import argparse
import importlib
import io
import itertools
import os
import signal
import sys
import threading
import time
import traceback
from typing import Any

from surgvista_jax import __version__, stuck
from surgvista_jax.addresses import is_address, not_here
from surgvista_jax.errors import UserError, ending

_SOON = 0.01  # seconds

# Command -> its line of help, or a group of commands. The module of `data list` is
# `commands.data_list`, with `add_arguments(parser)` and `main(arguments)`.
COMMANDS = {
    "demo": "in minutes: made-up videos, a tiny model and its pages",
    "pretrain": "pretrain a student on a dataset folder",
    "finetune": "finetune or probe a backbone, or train a temporal head",
    "predict": "videos -> a model's prediction for each moment",
    "view": "predictions -> pages in a browser, with the video",
    "evaluate": "predictions -> scores by a named protocol, and a report",
    "export": "a model -> StableHLO, ONNX or a SavedModel",
    "features": "a backbone's features of every frame of a dataset",
    "completion": "a script by which bash, zsh or fish completes words",
    "doctor": "what this machine has, and what of it will hurt",
    "merge": "what machines made with --part -> what one run makes",
    "data": {
        "list": "the datasets that can be converted, and their facts",
        "convert": "videos or official files -> a dataset folder",
        "pack": "the frames of a dataset folder -> record shards",
        "check": "is a dataset folder what it should be?",
        "synthetic": "made-up operations with labels, to try things out",
        "bench": "clips/s of each stage and of the whole loader",
    },
    "weights": {
        "inspect": "what a file holds, and which tables of names fit it",
        "import": "another program's weights -> a folder for all commands",
        "export": "a checkpoint -> another program's names, with a card",
    },
    "study": {
        "run": "a study's cells -> their runs, what they share once",
        "report": "a study's runs -> one page, tables, tests",
    },
    "figure": {
        "reconstruction": "what a pretrained student rebuilds",
        "comparison": "scores of several models as bars, for print",
        "scale": "two scores over amounts of pretraining data, for print",
        "rings": "what pretraining data and tasks have in common",
        "distillation": "a clip rebuilt with and without a teacher",
        "timeline": "what models say of a video over its time, for print",
        "confusion": "which classes models take for which, for print",
        "tokens": "where a model looks, and what its tokens tell apart",
    },
    "bench": {
        "finetune": "step time, clips/s, memory and FLOPs of finetuning",
        "digests": "seconds that a checkpoint's digests take, for each GiB",
        "intervals": "how often a report's intervals hold the truth",
        "plan": "memory, batch, clips/s and hours on devices not here",
        "predict": "clips/s of a finetuned model, and the wait for one clip",
        "pretrain": "step time, clips/s, memory and FLOPs of pretraining",
        "slide": "what clips that slide cost, with equal clips and time",
        "weights": "seconds and memory of loading, and how devices share it",
    },
}
# What one wants -> commands and groups, for the list of them.
_HEADINGS = {
    "to begin": ("demo", "doctor", "completion"),
    "data": ("data",),
    "to train": ("pretrain", "finetune", "features"),
    "to use a model": ("predict", "view", "evaluate", "export"),
    "studies": ("study",),
    "figures": ("figure",),
    "other programs' weights": ("weights",),
    "several machines": ("merge",),
    "measurements": ("bench",),
}


class _Parser(argparse.ArgumentParser):
    """Says of a group its usage and the list of its commands, and that too where none is given."""

    listing = ""

    def format_help(self) -> str:
        """What `--help` prints."""
        if not self.listing:
            return super().format_help()
        more = f"`{self.prog} COMMAND --help` says all of one."
        return f"{self.format_usage()}\n{self.listing}\n{more}\n"

    def no_command(self, arguments: argparse.Namespace) -> int:
        """Lists the commands: nothing was done, as nothing was asked for."""
        self.print_help()
        return 2


def _listing(commands: dict, before: str = "") -> str:
    """A line for each command, below what one wants with it where they are all."""
    if before:
        named = {f"{before} {name}": line for name, line in commands.items()}
        return "".join(f"  {name:21}  {line}\n" for name, line in named.items())
    parts = []
    for heading, members in _HEADINGS.items():
        lines = (
            _listing(commands[name], name)
            if isinstance(commands[name], dict)
            else f"  {name:21}  {commands[name]}\n"
            for name in members
        )
        parts.append(f"{heading}:\n{''.join(lines)}")
    return "\n".join(parts)


# Options that take addresses in buckets too.
_IN_BUCKETS = {
    "pretrain": ("--workdir", "--config.data.folder", "--config.data.root"),
    "finetune": ("--workdir", "--config.data.folder"),
}


def _parser() -> _Parser:
    parser = _Parser(prog="surgvista", allow_abbrev=False)
    parser.add_argument("--version", action="version", version=f"surgvista_jax {__version__}")
    return parser


def whole_parser() -> argparse.ArgumentParser:
    """The parser of all commands with all their options, for which all modules are imported."""
    parser = _parser()
    _add_commands(parser, COMMANDS, None)
    return parser


def _add_commands(
    parser: _Parser, commands: dict, words: list[str] | None, group: str = ""
) -> None:
    """Adds a sub-parser for each command; only the one in `words` has its module imported.

    Without words all have.
    """
    parser.listing = _listing(commands, group)
    parser.set_defaults(main=parser.no_command)
    choices = parser.add_subparsers(title="commands", metavar="COMMAND")
    chosen = next((word for word in words or () if not word.startswith("-")), None)
    for name, entry in commands.items():
        if isinstance(entry, dict):
            members = choices.add_parser(
                name, help=", ".join(f"{name} {child}" for child in entry), allow_abbrev=False
            )
            rest = words
            if words is not None:
                rest = words[words.index(name) + 1 :] if name == chosen else []
            _add_commands(members, entry, rest, name)
            continue
        command = choices.add_parser(name, help=entry, description=entry, allow_abbrev=False)
        command.register("type", int, _whole_number)
        if words is None or name == chosen:
            path = f"{group}_{name}" if group else name
            module = importlib.import_module(f"surgvista_jax.commands.{path}")
            module.add_arguments(command)
            command.set_defaults(main=module.main)


def _whole_number(text: str) -> int:
    """The value of every option that is a whole number: one that int64 and floats hold.

    argparse takes its type registry for that: of the type `int` it calls what stands there.
    """
    number = int(text)
    if abs(number) >= 10**18:
        raise ValueError(text)
    return number


def _check_words(words: list[str]) -> None:
    """Refuses what no option can mean, such as nothing at all: as a path, the current folder."""
    for before, word in itertools.pairwise(["", *words]):
        option, equals, value = word.partition("=")
        if word.startswith("--config."):
            option, value = word, word
        elif not (word.startswith("--") and equals):
            option, value = before if before.startswith("-") else "an argument", word
        if not value.strip():
            raise UserError(f"{option}: is empty; give a value, or leave it out")
        if value == "--" and equals:  # which argparse takes away
            raise UserError(f"{option}: -- is no value; give one, or leave the option out")
        try:
            word.encode()
        except UnicodeEncodeError:
            raise UserError(f"{word!a}: is not UTF-8; rename what it names") from None
        if is_address(value) and not _takes_address(words[0], option):
            is_option = option.startswith("-") and option != value
            raise not_here(f"{option}={value}" if is_option else value)


def _takes_address(command: str, option: str) -> bool:
    return option.partition("=")[0] in _IN_BUCKETS.get(command, ())


def main(argv: list[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 only on success.

    Without `argv` it is that of the program, which ends here if something in it is stuck.
    """
    if argv is not None:
        return _run(list(argv))
    sys.unraisablehook = _interrupt_again
    try:
        code = _run(sys.argv[1:])
    except Exception:
        traceback.print_exc()
        code = 1
    finally:
        # All is said and written: a Ctrl-C from now on ends what libraries do at the end, and is
        # no error in it.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    stuck.leave(code)
    return code


def _interrupt_again(unraisable: Any) -> None:
    """Lets a Ctrl-C come again that met a callback of the garbage collector, where it is lost."""
    if unraisable.exc_type is KeyboardInterrupt:
        # Not now: from here too it would be lost.
        later = threading.Timer(_SOON, _thread.interrupt_main)
        later.daemon = True
        later.start()
    else:
        sys.__unraisablehook__(unraisable)


def in_full(words: list[str]) -> list[str]:
    """`study STUDY.py …` is short for `study run STUDY.py …`."""
    if words[:1] == ["study"] and len(words) > 1 and words[1] not in COMMANDS["study"]:
        return words if words[1] in ("-h", "--help") else ["study", "run", *words[1:]]
    return words


def _run(words: list[str]) -> int:
    began = time.perf_counter()
    words = in_full(words)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal may not have every letter
        sys.stdout.reconfigure(errors="backslashreplace")
    parser = _parser()
    overrides = [word for word in words if word.startswith("--config.")]
    try:
        _check_words(words)
        _add_commands(parser, COMMANDS, words)
        arguments = parser.parse_args([word for word in words if word not in overrides])
        if overrides and not hasattr(arguments, "config"):
            parser.error(f"this command takes no configuration: {overrides[0]}")
        arguments.overrides, arguments.began = overrides, began
        arguments.whole_parser = whole_parser
        return arguments.main(arguments) or 0
    except BrokenPipeError:  # the reader of our output, such as `head`, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (Exception, KeyboardInterrupt) as error:
        end = ending(error)
        if end is None:
            raise
        print(f"surgvista: {end.words}", file=sys.stderr)
        return end.code


if __name__ == "__main__":
    sys.exit(main())
