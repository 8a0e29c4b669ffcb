"""How do users say which weights predict, and what these do not say themselves?"""

import argparse
from pathlib import Path

from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import listed_classes
from surgvista_jax.inference.temporal import load_trained
from surgvista_jax.inference.trained import CLIP, Trained
from surgvista_jax.models.layers import ComputeConfig
from surgvista_jax.weights.heads_option import add_heads, parse_heads


def add_weights(parser: argparse.ArgumentParser) -> None:
    """Adds the options beside `--checkpoint`."""
    temporal = parser.add_argument_group("the features of an MS-TCN")
    temporal.add_argument(
        "--backbone",
        metavar="[NAME:]WEIGHTS",
        help="where the weights lie that its features are computed by (where they lay in training)",
    )
    temporal.add_argument(
        "--features",
        type=Path,
        metavar="FOLDER",
        help="of `surgvista features`: those of the videos of a dataset folder, not computed again",
    )
    elsewhere = parser.add_argument_group("weights from elsewhere, which do not say it themselves")
    elsewhere.add_argument("--classes", help="names, separated by commas (0,1,…)")
    elsewhere.add_argument(
        "--fps", type=float, help="rate of the frames that it was trained on (1)"
    )
    elsewhere.add_argument("--num-frames", type=int, help="of a clip (16, or 8 of image models)")
    elsewhere.add_argument("--stride", type=int, help="frames from one to the next (4, or 8)")
    elsewhere.add_argument("--size", type=int, help="pixels a side (224)")
    elsewhere.add_argument(
        "--label-kind", choices=("single", "multi"), help="multi: several at once (single)"
    )
    add_heads(elsewhere)


def loaded(arguments: argparse.Namespace) -> Trained:
    """The model that predicts, whichever kind it is of."""
    computes = arguments.features is None
    if not computes and arguments.backbone is not None:
        raise UserError("--features: are there already, and ask for no --backbone; leave one out")
    return load_trained(
        arguments.checkpoint,
        _told(arguments),
        parse_heads(arguments.heads),
        ComputeConfig(dtype=arguments.dtype),
        backbone=arguments.backbone,
        computes=computes,
    )


def _told(arguments: argparse.Namespace) -> dict:
    """What the user says of the weights."""
    if arguments.fps is not None and not 0 < arguments.fps <= 1e6:
        raise UserError(f"--fps {arguments.fps:g}: must be a number above 0, at most 1,000,000")
    classes = arguments.classes
    told = {
        "classes": classes and listed_classes("--classes", classes.split(",")),
        "fps": arguments.fps,
        "label_kind": arguments.label_kind,
        **{key: getattr(arguments, key) for key in CLIP},
    }
    for key in CLIP:
        if told[key] is not None and told[key] < 1:
            raise UserError(f"--{key.replace('_', '-')} {told[key]}: must be 1 or more")
    return {key: value for key, value in told.items() if value is not None}
