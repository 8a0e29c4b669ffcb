"""The option `--heads` of every command that reads weights."""

import argparse

from surgvista_jax.errors import UserError
from surgvista_jax.facts.whole_numbers import whole


def add_heads(parser: argparse._ActionsContainer) -> None:
    """Adds `--heads`, which only models of unusual sizes need."""
    parser.add_argument(
        "--heads",
        metavar="N",
        help="attention heads of the encoder, or of each part (encoder=2,pixel_decoder=1), where"
        " width and depth do not determine them",
    )


def parse_heads(text: str | None) -> dict[str, int]:
    """The value of `--heads` by part: "12" or "encoder=12,pixel_decoder=6"."""
    heads = {}
    for word in text.split(",") if text else ():
        part, equals, number = word.rpartition("=")
        part = part if equals else "encoder"
        known = ("encoder", "pixel_decoder", "feature_decoder")
        count = whole(number)
        if part not in known or count is None or count < 1:
            raise UserError(
                f"--heads={text:.60}: a number, or PART=N separated by commas, PART being one"
                f" of {', '.join(known)}"
            )
        heads[part] = count
    return heads
