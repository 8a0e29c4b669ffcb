"""`--print-config`: what a program would run with, as data that `--config` takes again."""

import argparse
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import ml_collections

from surgvista_jax.config.parts import build

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

# In a run's `config.json`, beside the keys of its configuration: what it trains; after how many
# updates it had come to an end before it was made longer.
KIND, ENDED = "kind", "made_longer_after"


class _PrintConfig(argparse.Action):
    """Sets its flag, and lets options be left out that only a program which starts needs."""

    def __init__(
        self,
        option_strings: Sequence[str],
        dest: str,
        waived: Sequence[argparse.Action] = (),
        help: str | None = None,  # noqa: A002 -- so argparse calls it
    ) -> None:
        super().__init__(option_strings, dest, nargs=0, default=False, help=help)
        self._waived = waived

    def __call__(self, parser: Any, namespace: argparse.Namespace, *_: Any) -> None:
        for action in self._waived:
            action.required = False
        setattr(namespace, self.dest, True)


def add_print_config(
    parser: argparse.ArgumentParser, waived: Sequence[argparse.Action] = ()
) -> None:
    """Adds `--print-config` to a program.

    Args:
        waived: its options that need not be given with it.
    """
    parser.add_argument(
        "--print-config",
        action=_PrintConfig,
        waived=waived,
        help="print the configuration, every key, as JSON that --config=FILE.json takes, and end",
    )


def printed(
    arguments: argparse.Namespace,
    config: ml_collections.ConfigDict,
    cls: "type[DataclassInstance]",
    kind: str,
) -> bool:
    """Whether the configuration was asked for; then it is printed, and the program ends.

    Args:
        config: complete, with every key of its dataclass.
        cls: the dataclass.
        kind: what it trains: "pretraining", "finetuning" or "temporal".

    Raises:
        UserError: the dataclass refuses it.
    """
    if not arguments.print_config:
        return False
    build(cls, config)
    values = {KIND: kind, **config.to_dict()}
    print(json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False))
    return True
