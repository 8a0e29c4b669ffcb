"""Masks: the tokens of a clip that the student sees, and those that it must rebuild."""

import dataclasses
import math

import numpy as np

from surgvista_jax.checks import check, check_one_of, check_whole
from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.errors import UserError


@dataclasses.dataclass(frozen=True, slots=True)
class MaskConfig:
    """How much of a clip is hidden, and in what form.

    Attributes:
        kind: "tube" hides the same places in every slice of time, "random" any tokens.
        ratio: the share of hidden tokens, rounded down to whole tokens (of a slice, for tubes).
        masks_per_clip: how many masks are drawn for each decoded clip.
    """

    kind: str = "tube"
    ratio: float = 0.85
    masks_per_clip: int = 1

    def __post_init__(self) -> None:
        check_one_of(self, MASKS, "kind")
        check(self, "from 0 to 1", lambda share: 0 <= share <= 1, "ratio")
        check_whole(self, 1, "masks_per_clip", highest=1024)


def token_grid(clip: ClipConfig, tubelet: int, patch: int) -> tuple[int, int, int]:
    """Returns the grid (t, h, w) of a clip's tokens of `tubelet` frames x `patch` x `patch` pixels.

    Raises:
        UserError: if frames or pixels do not divide into tokens.
    """
    for key, whole, part_key, part in (
        ("config.clip.num_frames", clip.num_frames, "config.model.tubelet", tubelet),
        ("config.clip.size", clip.size, "config.model.patch", patch),
    ):
        if whole % part:
            below = whole // part * part
            options = f"{below} or {below + part}" if below else str(part)
            raise UserError(
                f"{key}={whole}: should be divisible by {part_key}={part}: take {options}"
            )
    side = clip.size // patch
    return clip.num_frames // tubelet, side, side


def hidden_count(kind: str, grid: tuple[int, int, int], ratio: float) -> int:
    """Returns how many of the t * h * w tokens a mask hides: the same for every clip.

    Raises:
        UserError: if no token would be hidden, or none left visible.
    """
    t, h, w = grid
    slices, tokens, part = (t, h * w, "slice") if kind == "tube" else (1, t * h * w, "clip")
    hidden = int(ratio * tokens) if math.isfinite(ratio) else -1
    if 0 < hidden < tokens:
        return slices * hidden
    if tokens == 1:
        raise UserError(
            f"config.clip.size and config.model.patch leave 1 token a {part}: 2 or more are needed"
        )
    lowest, highest = math.ceil(1000 / tokens) / 1000, (1000 * (tokens - 1) // tokens) / 1000
    raise UserError(
        f"config.mask.ratio={ratio}: should hide at least 1 and leave visible at least 1 of the"
        f" {tokens} tokens of a {part}: take {lowest:.3f} to {highest:.3f}"
    )


def tube_mask(
    rng: np.random.Generator, grid: tuple[int, int, int], ratio: float
) -> tuple[np.ndarray, np.ndarray]:
    """Hides int(ratio * h * w) random places, the same in each of the t slices.

    Returns:
        visible_ids int32 [V] and hidden_ids int32 [M], each ascending in (t, h, w) order.
    """
    t, h, w = grid
    hidden = np.zeros(h * w, bool)
    hidden[rng.permutation(h * w)[: hidden_count("tube", grid, ratio) // t]] = True
    return _split(np.tile(hidden, t))


def random_mask(
    rng: np.random.Generator, grid: tuple[int, int, int], ratio: float
) -> tuple[np.ndarray, np.ndarray]:
    """Hides int(ratio * t * h * w) random tokens; returns what `tube_mask` returns."""
    hidden = np.zeros(math.prod(grid), bool)
    hidden[rng.permutation(len(hidden))[: hidden_count("random", grid, ratio)]] = True
    return _split(hidden)


def _split(hidden: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the ascending ids of the visible and of the hidden tokens of bool [N]."""
    return np.flatnonzero(~hidden).astype(np.int32), np.flatnonzero(hidden).astype(np.int32)


MASKS = {"tube": tube_mask, "random": random_mask}
