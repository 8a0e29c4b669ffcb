"""Clips of noise with a mask each, and what a perfect student predicts of them."""

import numpy as np

from surgvista_jax.data.batches.masking import MASKS
from surgvista_jax.models.patches import patchify
from surgvista_jax.tasks.pretraining import losses

GRID, TUBELET, PATCH = (2, 4, 4), 2, 8


def make_batch(kind="tube", ratio=0.75):
    """Two clips [2, 4, 32, 32, 3] of noise, each with a mask of its own."""
    rng = np.random.default_rng(0)
    masks = [MASKS[kind](rng, GRID, ratio) for _ in range(2)]
    return {
        "video": rng.integers(0, 256, (2, 4, 32, 32, 3), np.uint8),
        "visible_ids": np.stack([visible for visible, _ in masks]),
        "hidden_ids": np.stack([hidden for _, hidden in masks]),
    }


def patches_of(batch):
    return patchify(batch["video"], TUBELET, PATCH)


def hidden_patches(batch):
    return np.take_along_axis(patches_of(batch), batch["hidden_ids"][..., None], axis=1)


def targets(batch):
    """What a perfect student predicts."""
    return np.asarray(losses.pixel_targets(hidden_patches(batch)))
