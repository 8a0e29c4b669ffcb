"""The student's forward pass and losses in NumPy, float64, of arrays under its authors' names.

Written from the method's description alone, without anything of the package: encoder, both
decoders, the targets and the two losses, with or without a class token.
"""

import math

import numpy as np

erf = np.vectorize(math.erf, otypes=[float])
# Of the distances between predicted and wanted features.
FEATURE_LOSSES = {
    "l1": lambda x: x,
    "smooth_l1": lambda x: np.where(x < 1, x**2 / 2, x - 0.5),
}
MEAN, DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def layer_norm(x: np.ndarray, weights: dict, name: str) -> np.ndarray:
    x = x - x.mean(-1, keepdims=True)
    x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-6)
    return x * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def linear(x: np.ndarray, weights: dict, name: str) -> np.ndarray:
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def attention(x: np.ndarray, weights: dict, name: str, heads: int) -> np.ndarray:
    """Queries and values have a bias, keys have none."""
    b, n, d = x.shape
    q, k, v = np.split(x @ weights[f"{name}.qkv.weight"].T, 3, axis=-1)
    q, v = q + weights[f"{name}.q_bias"], v + weights[f"{name}.v_bias"]
    q, k, v = (y.reshape(b, n, heads, -1).transpose(0, 2, 1, 3) for y in (q, k, v))
    scores = np.exp(q @ k.transpose(0, 1, 3, 2) / math.sqrt(d / heads))
    mixed = scores / scores.sum(-1, keepdims=True) @ v
    return linear(mixed.transpose(0, 2, 1, 3).reshape(b, n, d), weights, f"{name}.proj")


def blocks(x: np.ndarray, weights: dict, name: str, heads: int) -> np.ndarray:
    depth = len({key.split(".")[name.count(".")] for key in weights if key.startswith(name)})
    for i in range(depth):
        block = f"{name}{i}"
        scales = [weights.get(f"{block}.gamma_{j}", 1.0) for j in (1, 2)]
        y = layer_norm(x, weights, f"{block}.norm1")
        x = x + scales[0] * attention(y, weights, f"{block}.attn", heads)
        y = linear(layer_norm(x, weights, f"{block}.norm2"), weights, f"{block}.mlp.fc1")
        y = y * (1 + erf(y / math.sqrt(2))) / 2
        x = x + scales[1] * linear(y, weights, f"{block}.mlp.fc2")
    return x


def positions(grid: tuple[int, int, int], width: int) -> np.ndarray:
    """Sines and cosines of time, column and row: 1/4, 3/8 and 3/8 of the width."""
    t, h, w = np.meshgrid(*map(np.arange, grid), indexing="ij")
    parts = []
    for place, size in ((t, width // 4), (w, 3 * width // 8), (h, 3 * width // 8)):
        angle = place.reshape(-1, 1) / 10000 ** (np.arange(size // 2) / (size // 2))
        parts += [np.sin(angle), np.cos(angle)]
    return np.concatenate(parts, axis=1)


def tokens(video: np.ndarray, tubelet: int, patch: int) -> tuple[np.ndarray, tuple[int, int, int]]:
    """Cuts [B, T, H, W, 3] into [B, N, tubelet, patch, patch, 3]; and the grid."""
    b, frames, height, width, _ = video.shape
    t, h, w = frames // tubelet, height // patch, width // patch
    x = video.reshape(b, t, tubelet, h, patch, w, patch, 3).transpose(0, 1, 3, 5, 2, 4, 6, 7)
    return x.reshape(b, t * h * w, tubelet, patch, patch, 3), (t, h, w)


def forward(weights: dict, video: np.ndarray, mask: np.ndarray, heads: dict) -> dict:
    """What the student predicts, and its losses of pixels.

    Args:
        weights: arrays under the authors' names; with "cls_token" the model has a class token.
        video: uint8 [B, T, H, W, 3].
        mask: [B, N], true where hidden; as many in every clip.
        heads: attention heads of "encoder", "vid" and "img".
    """
    weights = {name: np.asarray(array, np.float64) for name, array in weights.items()}
    kernel = weights["patch_embed.proj.weight"]  # [D, 3, tubelet, patch, patch]
    cut, grid = tokens(video / 255.0, *kernel.shape[2:4])
    b, n = cut.shape[:2]
    pixels = np.einsum("bntijc,dctij->bnd", (cut - MEAN) / DEVIATION, kernel)
    x = pixels + weights["patch_embed.proj.bias"] + positions(grid, kernel.shape[0])
    x = x[~mask].reshape(b, -1, kernel.shape[0])
    first = int("cls_token" in weights)
    if first:
        x = np.concatenate([np.repeat(weights["cls_token"], b, axis=0), x], axis=1)
    x = layer_norm(blocks(x, weights, "blocks.", heads["encoder"]), weights, "norm")
    found = {}
    for part in ("vid", "img"):
        y = linear(x, weights, f"down_{part}")
        table = np.repeat(positions(grid, y.shape[-1])[None], b, axis=0)
        seen, unseen = (table[rows].reshape(b, -1, y.shape[-1]) for rows in (~mask, mask))
        hidden = weights[f"mask_token_{part}"] + unseen
        y = np.concatenate([y[:, :first], y[:, first:] + seen, hidden], axis=1)
        y = blocks(y, weights, f"decoder_{part}.blocks.", heads[part])[:, -unseen.shape[1] :]
        y = layer_norm(y, weights, f"decoder_{part}.norm")
        found[part] = linear(y, weights, f"decoder_{part}.head")
    target = cut.reshape(b, n, -1, 3)[mask].reshape(b, -1, cut[0, 0].size // 3, 3)
    deviation = np.sqrt(target.var(2, ddof=1, keepdims=True)) + 1e-6
    target = ((target - target.mean(2, keepdims=True)) / deviation).reshape(found["vid"].shape)
    return {**found, "pixel_loss": ((found["vid"] - target) ** 2).mean()}
