"""From the options of a command to its parts, and from what a folder has of them to their merge."""

import argparse
from collections.abc import Sequence
from pathlib import Path

from surgvista_jax.errors import UserError
from surgvista_jax.parts.option import Part
from surgvista_jax.parts.plan import Parts
from surgvista_jax.parts.plan_file import read_plan
from surgvista_jax.parts.sweep import begun_in
from surgvista_jax.parts.words import arguments_of, options_of, words_of


def parts_of(
    arguments: argparse.Namespace, out: Path, command: str, files: Sequence[str]
) -> Parts | None:
    """The parts of which the options ask for one, or for the merge; None without `--part`.

    Args:
        arguments: of the command; as they were given.
        out: the folder that it writes to.
        command: its words.
        files: as for `words_of`.

    Raises:
        UserError: the folder has parts that are of another number, or begun with other options.
    """
    if arguments.part is None:
        return None
    words, options = words_of(arguments, files), options_of(arguments)
    parts = Parts(out, command, arguments.part, words, options)
    parts.check()
    return parts


def merge_of(
    out: Path, commands: Sequence[str], asked: str | None
) -> tuple[str, argparse.Namespace | None]:
    """The command whose parts are to be merged in a folder, and the options that merge them.

    Args:
        out: the folder.
        commands: those that have parts.
        asked: the one that the user names; None: the only one there is.

    Returns:
        The command; its options, None where the parts are merged and only to be taken away.

    Raises:
        UserError: there are no such parts, or those of several commands.
    """
    begun = begun_in(out, commands if asked is None else [asked])
    if not begun:
        of = "parts of a command" if asked is None else f"parts of `surgvista {asked}`"
        there = "" if out.is_dir() else "; there is no such folder"
        raise UserError(f"{out}: no {of} are here to be merged{there}")
    if len(begun) > 1:
        raise UserError(
            f"{out}: has parts of {' and of '.join(begun)}; say by --of which are to be merged"
        )
    plan = read_plan(out, begun[0])
    if plan is None:
        return begun[0], None
    arguments = arguments_of(plan["options"])
    arguments.part = Part(0, plan["of"])
    return begun[0], arguments
