"""What a model's tokens say of a clip, as colours: three main components, and shares of attention.

Both are maps over the token grid, [t, h, w], drawn over the frames that each token covers.
"""

import cv2
import numpy as np

_MANY = 8  # tokens for each of their dimensions
_SPREAD = (2, 98)  # percentiles that become black and full colour


def components(tokens: np.ndarray, grid: tuple[int, int, int]) -> np.ndarray:
    """The three main components of a clip's tokens as colours (Oquab et al., "DINOv2", 2023).

    Each runs from its 2nd to its 98th percentile over all frames, so that colours of one clip can
    be compared with one another, and not with those of another clip. A component's sign is that
    which makes its largest weight positive: the same tokens always get the same colours.

    Args:
        tokens: float [N, D], without a class token.
        grid: (t, h, w) of them.

    Returns:
        float32 [t, h, w, 3] from 0 to 1; a component that does not vary is 0.5.
    """
    wide = tokens.astype(np.float64)
    axes = _main_axes(wide - wide.mean(0))
    largest = np.abs(axes).argmax(1)
    axes = axes * np.where(axes[np.arange(len(axes)), largest] < 0, -1, 1)[:, None]
    found = (wide - wide.mean(0)) @ axes.T  # [N, up to 3]
    low, high = np.percentile(found, _SPREAD, axis=0)
    varies = high - low > 1e-9 * max(1.0, float(np.abs(wide).max()))
    scaled = np.where(varies, (found - low) / np.where(varies, high - low, 1), 0.5)
    colours = np.full((len(wide), 3), 0.5)
    colours[:, : scaled.shape[1]] = np.clip(scaled, 0, 1)
    return colours.reshape(*grid, 3).astype(np.float32)


def _main_axes(centred: np.ndarray) -> np.ndarray:
    """The three directions [up to 3, D] in which [N, D] varies most."""
    if len(centred) > _MANY * centred.shape[1]:  # of the covariance, which is small
        _, axes = np.linalg.eigh(centred.T @ centred)
        return axes[:, ::-1][:, :3].T
    return np.linalg.svd(centred, full_matrices=False)[2][:3]


def attention_map(shares: np.ndarray) -> np.ndarray:
    """Shares [heads, t, h, w], mean over heads, as multiples of an even share: [t, h, w]."""
    mean = shares.mean(0)
    return (mean * mean.size).astype(np.float32)


def over_frames(maps: np.ndarray, clip: np.ndarray) -> np.ndarray:
    """Maps [t, h, w, ...] at the size and for the frames of a clip [T, H, W, 3], in squares."""
    frames, height, width = clip.shape[:3]
    each = np.repeat(maps, frames // len(maps), axis=0)
    size = (width, height)
    return np.stack([cv2.resize(one, size, interpolation=cv2.INTER_NEAREST) for one in each])
