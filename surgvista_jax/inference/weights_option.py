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
    parser.add_argument(
        "--dtype",
        choices=("bfloat16", "float32"),
        help="what is computed in (bfloat16; below an MS-TCN what its features were computed in)",
    )
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
    add_elsewhere(parser)


def add_elsewhere(parser: argparse.ArgumentParser) -> None:
    """Adds the options of weights that do not say what they are; `told_of` reads them."""
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
    dtype = arguments.dtype
    trained = load_trained(
        arguments.checkpoint,
        told_of(arguments),
        parse_heads(arguments.heads),
        None if dtype is None else ComputeConfig(dtype=dtype),
        backbone=arguments.backbone,
        computes=computes,
    )
    own = trained.backbone.compute.dtype if computes else dtype
    if dtype not in (None, own):
        raise UserError(
            f"--dtype={dtype}: {arguments.checkpoint} was trained on features that are computed in"
            f" {own}"
        )
    return trained


def told_of(arguments: argparse.Namespace) -> dict:
    """What the user says of the weights: values of `Meaning` and of its clip.

    Raises:
        UserError: one of them is none.
    """
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
