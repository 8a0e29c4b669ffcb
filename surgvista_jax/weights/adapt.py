"""An encoder fitted to other clips than it was trained on: video, other sizes."""

import dataclasses

import numpy as np

from surgvista_jax.checks import MOST_PIXELS, check_one_of, check_whole
from surgvista_jax.errors import UserError
from surgvista_jax.models.patches import IMAGENET_MEAN, IMAGENET_STD, token_grid
from surgvista_jax.models.positions import TABLES, interpolate_positions
from surgvista_jax.models.video_vit import LEARNED, EncoderConfig
from surgvista_jax.weights.names.entries import square
from surgvista_jax.weights.names.table import Pixels

PATCHES = ("frames", "average", "centre")


@dataclasses.dataclass(frozen=True)
class AdaptConfig:
    """How an image model is changed to take clips; video models stay as they are.

    Attributes:
        patches: "frames" embeds the patches of every frame (as published); "average" and "centre"
            make tubelets of `tubelet` frames, whose kernel is the image's spread evenly over the
            frames or put on their middle one.
        positions: what replaces a learned table of an image's patches: "flat" (as published) or
            "separable" fixed sine tables of the whole clip; "learned" keeps it for every frame,
            interpolated where the number of patches changes.
        tubelet: frames of an inflated patch.
    """

    patches: str = "frames"
    positions: str = "flat"
    tubelet: int = 2

    def __post_init__(self) -> None:
        check_one_of(self, PATCHES, "patches")
        check_one_of(self, (*TABLES, LEARNED), "positions")
        check_whole(self, 1, "tubelet", highest=MOST_PIXELS)


def adapt_encoder(
    config: EncoderConfig,
    params: dict | None,
    *,
    clip: tuple[int, int, int],
    adapt: AdaptConfig,
    keep_class_token: bool,
    keep_norm: bool,
    clip_key: str = "config.clip",
) -> tuple[EncoderConfig, dict | None]:
    """Fits an encoder to clips.

    Args:
        config: what it is.
        params: its parameters (NumPy), which are left as they are; None changes `config` alone.
        clip: frames, height and width in pixels of the clips.
        adapt: how an image model is changed.
        keep_class_token: whether the class token, and its position, stay where there are any.
        keep_norm: whether the norm after the last block stays.
        clip_key: where the user says the clip, for messages.

    Returns:
        the configuration and the parameters (a new tree; unchanged arrays are shared).

    Raises:
        UserError: the clip does not divide into tokens; a table of positions is not square.
    """
    tree = None if params is None else dict(params)
    new = config
    if config.tubelet == 1 and adapt.patches != "frames":
        new = dataclasses.replace(new, tubelet=adapt.tubelet)
        if tree is not None:
            embedding = dict(tree["patch_embedding"])
            embedding["kernel"] = inflate_patches(embedding["kernel"], new.tubelet, adapt.patches)
            tree["patch_embedding"] = embedding
    try:
        grid = token_grid(*clip, new.tubelet, new.patch)
    except ValueError as error:
        raise UserError(f"{clip_key}: {error}") from None
    if config.positions == LEARNED:
        try:
            new = dataclasses.replace(new, positions=adapt.positions)
        except ValueError as error:
            raise UserError(f"config.adapt.positions={adapt.positions!r}: {error}") from None
    if tree is not None and config.positions == LEARNED:
        table = tree.pop("positions")
        if new.positions == LEARNED:
            old = square(len(table))
            tree["positions"] = interpolate_positions(table, old, grid[1:], config.resize)
    dropped = []
    if new.class_token and not keep_class_token:
        new = dataclasses.replace(new, class_token=False, class_position=False)
        dropped += ["class_token", "class_position"]
    if new.norm and not keep_norm:
        new = dataclasses.replace(new, norm=False)
        dropped += ["norm"]
    if tree is not None:
        for name in dropped:
            tree.pop(name, None)
    return new, tree


def changes(
    before: dict, config: EncoderConfig, after: dict, fitted: EncoderConfig
) -> tuple[str, ...]:
    """What `adapt_encoder` changed, in words.

    Args:
        before, config: parameters and configuration that it was given.
        after, fitted: what it made of them.
    """
    notes = []
    if fitted.tubelet != config.tubelet:
        notes.append(f"its patches of images are inflated to {fitted.tubelet} frames")
    if fitted.positions != config.positions:
        notes.append(f"its learned positions are replaced by fixed ones ({fitted.positions})")
    elif config.positions == LEARNED and len(before["positions"]) != len(after["positions"]):
        old, new = (len(tree["positions"]) for tree in (before, after))
        notes.append(f"its {old} learned positions are interpolated to {new}")
    if config.class_token and not fitted.class_token:
        notes.append("its class token is dropped")
    if config.norm and not fitted.norm:
        notes.append("its final norm is dropped")
    return tuple(notes)


def inflate_patches(kernel: np.ndarray, tubelet: int, how: str) -> np.ndarray:
    """The kernel of an image's patches [P, D] as one of tubelets [tubelet * P, D].

    A clip of one repeated image is then embedded as the image was.

    Args:
        kernel: P in (row, column, channel) order.
        tubelet: frames of a tubelet.
        how: "average", evenly over the frames; "centre", on frame tubelet // 2 alone.
    """
    if how == "average":
        return np.concatenate([kernel / tubelet] * tubelet)
    if how != "centre":
        raise ValueError(f"patches can be inflated by average or centre, not by {how!r}")
    frames = [np.zeros_like(kernel)] * tubelet
    frames[tubelet // 2] = kernel
    return np.concatenate(frames)


def renormalise_patches(embedding: dict, pixels: Pixels) -> dict:
    """The same response to pixels normalised by ImageNet's mean and deviation as to theirs.

    Args:
        embedding: {"kernel": [P, D], "bias": [D]}, colours innermost in P.
        pixels: mean and deviation by which the model's own images were normalised.
    """
    mean, deviation = (np.asarray(values, np.float64) for values in pixels)
    kernel = embedding["kernel"].astype(np.float64)
    colours = kernel.reshape(-1, 3, kernel.shape[1])  # [P/3, colour, D]
    shift = ((IMAGENET_MEAN - mean) / deviation)[None, :, None]
    bias = embedding["bias"] + (colours * shift).sum((0, 1))
    kernel = (colours * (IMAGENET_STD / deviation)[None, :, None]).reshape(kernel.shape)
    return {"kernel": kernel.astype(np.float32), "bias": bias.astype(np.float32)}
