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
from surgvista_jax.errors import UserError, ending

_SOON = 0.01  # seconds

# Command -> its line of help, or a group of commands. The module of `data list` is
# `commands.data_list`, with `add_arguments(parser)` and `main(arguments)`.
COMMANDS = {
    "demo": "the five-minute path: videos, clips, a tiny pretrained model, a figure",
    "pretrain": "pretrain a student on a dataset folder",
    "finetune": (
        "finetune or probe a backbone on a labelled dataset folder, or train a temporal head"
    ),
    "predict": "videos -> a finetuned model's prediction for each moment",
    "view": "predictions -> pages of the videos, shown in a browser with the video",
    "evaluate": "predictions -> scores by a named protocol, with intervals and a report",
    "export": "a model -> StableHLO, ONNX or a SavedModel, which run without this program",
    "features": "a backbone's features of every frame of a dataset, for temporal heads",
    "completion": "a script by which bash, zsh or fish completes commands, options and files",
    "doctor": "versions, devices, decoders and limits of this machine, and what of it will hurt",
    "merge": "what machines made with --part -> what one run makes",
    "data": {
        "list": "the datasets that can be converted, and their facts",
        "convert": "videos or official files -> a dataset folder",
        "pack": "the frames of a dataset folder -> record shards",
        "check": "is a dataset folder what it should be?",
        "synthetic": "made-up operations with labels -> a dataset folder, to try things out",
        "bench": "clips/s of each stage and of the whole loader",
    },
    "weights": {
        "inspect": "what a file of weights holds, and which tables of names fit it",
        "import": "another program's weights -> a folder that every command takes",
        "export": "a checkpoint -> a file under another program's names, with a model card",
    },
    "figure": {
        "reconstruction": "what a pretrained student rebuilds",
        "tokens": "where a model looks in a clip, and what its tokens tell apart",
    },
    "bench": {
        "finetune": "step time, clips/s, memory and FLOPs utilisation of finetuning",
        "digests": "seconds that the digests of a checkpoint take, for each GiB",
        "intervals": "how often a report's intervals hold the truth, by size of the test set",
        "plan": "memory, largest batch, clips/s and hours on devices that are not here",
        "predict": "clips/s of a finetuned model, and the wait for one clip",
        "pretrain": "step time, clips/s, memory and FLOPs utilisation of pretraining",
        "slide": "what clips that slide cost: loss and linear probe, with equal clips and time",
        "weights": "seconds and memory of loading weights, and how devices share them",
    },
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="surgvista", description=__doc__.split("\n")[0], allow_abbrev=False
    )
    parser.add_argument("--version", action="version", version=f"surgvista_jax {__version__}")
    return parser


def whole_parser() -> argparse.ArgumentParser:
    """The parser of all commands with all their options, for which all modules are imported."""
    parser = _parser()
    _add_commands(parser, COMMANDS, None)
    return parser


def _add_commands(
    parser: argparse.ArgumentParser, commands: dict, words: list[str] | None, group: str = ""
) -> None:
    """Adds a sub-parser for each command; only the one in `words` has its module imported.

    Without words all have.
    """
    choices = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    chosen = next((word for word in words or () if not word.startswith("-")), None)
    for name, entry in commands.items():
        if isinstance(entry, dict):
            members = choices.add_parser(
                name, help=", ".join(f"{name} {child}" for child in entry), allow_abbrev=False
            )
            rest = words
            if words is not None:
                rest = words[words.index(name) + 1 :] if name == chosen else []
            _add_commands(members, entry, rest, f"{name}_")
            continue
        command = choices.add_parser(name, help=entry, description=entry, allow_abbrev=False)
        command.register("type", int, _whole_number)
        if words is None or name == chosen:
            module = importlib.import_module(f"surgvista_jax.commands.{group}{name}")
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
    """Refuses what no option can mean: nothing at all, which as a path is the current folder."""
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


def _run(words: list[str]) -> int:
    began = time.perf_counter()
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
