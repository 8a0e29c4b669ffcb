"""How do users say how many frames may be unreadable?"""

import argparse

from surgvista_jax.errors import UserError
from surgvista_jax.training.unreadable import USUAL_LIMIT, UnreadableLimit

_OPTION = "--max-unreadable-share"


def add_unreadable(parser: argparse.ArgumentParser) -> None:
    """Adds the option."""
    parser.add_argument(
        _OPTION,
        type=float,
        default=USUAL_LIMIT.max_share,
        metavar="SHARE",
        help="of the frames; more that cannot be read, or a batch of them, end it (%(default)s)",
    )


def unreadable_limit(arguments: argparse.Namespace) -> UnreadableLimit:
    """What was said. Raises UserError for what is no share."""
    share = arguments.max_unreadable_share
    try:
        return UnreadableLimit(share, key=_OPTION)
    except ValueError:
        raise UserError(f"{_OPTION} {share:g}: should be from 0 to 1") from None
