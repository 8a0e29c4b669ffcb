"""From predicted patches to pictures, and whose brightness and contrast they get.

NumPy throughout: figures are made on the host, beside whatever the devices compute.
"""

import numpy as np

from surgvista_jax.models.patches import PLAIN_DEVIATION, PLAIN_MEAN, unpatchify

# Whose mean and deviation undo the normalisation of hidden patches. "target": the hidden patch's
# own, as is usual; these two numbers a channel are more than the student knew. "visible": those of
# the visible patches around it, so that nothing of a hidden patch is used.
STATISTICS = ("visible", "target")
# Of predictions that were not normalised patch by patch.
PLAIN = "plain"

NEIGHBOURS = 4  # visible patches that "visible" interpolates between
FALLOFF = 3  # their weight is 1 / distance ** FALLOFF, distance in patches


def denormalise(
    predicted: np.ndarray,
    patches: np.ndarray,
    visible_ids: np.ndarray,
    hidden_ids: np.ndarray,
    grid: tuple[int, int, int],
    statistics: str,
) -> np.ndarray:
    """Undoes `tasks.pretraining.losses.pixel_targets` with one of STATISTICS.

    Args:
        predicted: [B, M, P] normalised pixels of the hidden patches.
        patches: uint8 [B, N, P], all patches of the clips.
        visible_ids, hidden_ids: int [B, V] and [B, M].
        grid: tokens along (t, h, w).
        statistics: one of STATISTICS, or PLAIN.

    Returns:
        float32 [B, M, P], clipped to [0, 1].
    """
    if statistics == PLAIN:
        plain = predicted * PLAIN_DEVIATION + PLAIN_MEAN
        return np.clip(plain, 0, 1, dtype=np.float32)
    if statistics == "target":
        _, mean, deviation = _pixel_statistics(_pick(patches, hidden_ids))
    elif statistics == "visible":
        _, mean, deviation = _pixel_statistics(_pick(patches, visible_ids))  # [B, V, 1, 3]
        weights = np.stack(
            [_neighbour_weights(*ids, grid) for ids in zip(visible_ids, hidden_ids, strict=True)]
        )
        mean, deviation = (np.einsum("bmv,bvic->bmic", weights, x) for x in (mean, deviation))
    else:
        raise ValueError(f"statistics {statistics!r} is not one of {', '.join(STATISTICS)}")
    pixels = predicted.reshape(*predicted.shape[:2], -1, 3) * deviation + mean
    return np.clip(pixels, 0, 1, dtype=np.float32).reshape(predicted.shape)


def assemble(
    hidden: np.ndarray | np.float32,
    patches: np.ndarray,
    hidden_ids: np.ndarray,
    grid: tuple[int, int, int],
    tubelet: int,
    patch: int,
) -> np.ndarray:
    """Puts pixels in the places of the hidden patches and leaves the visible ones as they are.

    Args:
        hidden: [B, M, P] pixels in [0, 1], or what broadcasts to it.
        patches: uint8 [B, N, P].

    Returns:
        uint8 [B, T, H, W, 3].
    """
    filled = patches.copy()
    pixels = np.broadcast_to(hidden, (*hidden_ids.shape, patches.shape[-1]))
    np.put_along_axis(filled, hidden_ids[..., None], np.rint(pixels * 255).astype(np.uint8), axis=1)
    return unpatchify(filled, grid, tubelet, patch)


def squared_errors(
    predicted: np.ndarray, patches: np.ndarray, hidden_ids: np.ndarray, plain: bool = False
) -> tuple[float, float]:
    """Mean squared error of normalised pixels [B, M, P]: of a prediction, and of zeros.

    Zeros say that every hidden patch has its mean colour throughout; where pixels are `plain`, that
    it is grey.
    """
    pixels, mean, deviation = _pixel_statistics(_pick(patches, hidden_ids))
    if plain:
        mean, deviation = np.full_like(mean, PLAIN_MEAN), np.full_like(mean, PLAIN_DEVIATION)
    target = ((pixels - mean) / deviation).reshape(predicted.shape)
    return float(np.mean((predicted - target) ** 2)), float(np.mean(target**2))


def _pixel_statistics(patches: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`tasks.pretraining.losses.pixel_statistics` in NumPy."""
    pixels = patches.reshape(*patches.shape[:-1], -1, 3).astype(np.float32) / 255
    mean = pixels.mean(-2, keepdims=True)
    return pixels, mean, pixels.std(-2, ddof=1, keepdims=True) + 1e-6


def _neighbour_weights(
    visible_ids: np.ndarray, hidden_ids: np.ndarray, grid: tuple[int, int, int]
) -> np.ndarray:
    """What each visible patch counts for each hidden one: float32 [M, V], rows of sum 1.

    The nearest few count. Where the same places are visible in every slice of time, as under a tube
    mask, they are those of the hidden patch's own slice; else distance goes along time too.
    """
    t, h, w = grid
    visible, hidden = (np.unravel_index(ids, grid) for ids in (visible_ids, hidden_ids))
    squared = np.zeros((len(hidden_ids), len(visible_ids)), np.float32)  # [M, V]
    for there, here in zip(hidden, visible, strict=True):
        squared += np.square(np.subtract.outer(there, here), dtype=np.float32)
    seen = np.zeros(grid, bool)
    seen.flat[visible_ids] = True
    if (seen == seen[0]).all():
        squared[hidden[0][:, None] != visible[0]] = np.inf
    nearest = min(NEIGHBOURS, len(visible_ids))
    limit = np.partition(squared, nearest - 1, axis=1)[:, nearest - 1, None]
    weights = np.where(squared <= limit, squared ** (-FALLOFF / 2), 0)
    return weights / weights.sum(1, keepdims=True)


def _pick(patches: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """[B, N, P], [B, I] -> [B, I, P]."""
    return np.take_along_axis(patches, ids[..., None], axis=1)
