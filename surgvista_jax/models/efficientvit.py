"""EfficientViT-M5, the image model of GSViT: one frame -> a map of features.

Liu et al., "EfficientViT: Memory efficient vision transformer with cascaded group attention", CVPR
2023. It is a CNN with attention within windows, and has batch norm throughout.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn
from flax.typing import Dtype

from surgvista_jax.models.convolution import ConvNorm, convolution
from surgvista_jax.models.logical_axes import with_axes

EMBEDDING_WIDTHS = (24, 48, 96, 192)  # four convolutions of stride 2 embed the pixels
WIDTHS = (192, 288, 384)  # channels of the three stages; the second and third halve the map
DEPTHS = (1, 3, 4)
HEADS = (3, 3, 4)
KEY_WIDTH = 16  # of a head's queries and keys; its values have width / heads channels
QUERY_KERNELS = (7, 5, 3, 3)  # side of the convolution over the queries, by head
# Side of the attention's windows by stage: at 224 pixels, where published weights come from, the
# maps are 14, 7 and 4 wide. Larger maps are cut into windows, smaller ones are a part of a window,
# so that the same parameters take every image size.
WINDOWS = (7, 7, 4)
MERGE_RATIO = 4  # hidden channels of a down-sampling, as a multiple of its input's
SQUEEZE_RATIO = 4  # and as many times fewer decide how its channels are weighed
MLP_RATIO = 2
WIDTH = WIDTHS[-1]


class Mlp(nn.Module):
    """Two 1x1 convolutions with a ReLU between them."""

    dtype: Dtype

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        width = x.shape[-1]
        y = nn.relu(ConvNorm(width * MLP_RATIO, 1, self.dtype, name="up")(x, train))
        init = nn.initializers.zeros
        return ConvNorm(width, 1, self.dtype, scale_init=init, name="down")(y, train)


class ConvMlp(nn.Module):
    """A depthwise 3x3 convolution, then an MLP, each added to its input."""

    dtype: Dtype

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        width, init = x.shape[-1], nn.initializers.zeros
        conv = ConvNorm(width, 3, self.dtype, groups=width, scale_init=init, name="conv")
        x = x + conv(x, train)
        return x + Mlp(self.dtype, name="mlp")(x, train)


class Downsample(nn.Module):
    """Halves the map with a depthwise convolution between two 1x1 ones, its channels weighed."""

    width: int
    dtype: Dtype

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """x: [B, H, W, C] -> [B, ceil(H / 2), ceil(W / 2), width]."""
        hidden = x.shape[-1] * MERGE_RATIO
        x = nn.relu(ConvNorm(hidden, 1, self.dtype, name="expand")(x, train))
        conv = ConvNorm(hidden, 3, self.dtype, stride=2, groups=hidden, name="spatial")
        x = nn.relu(conv(x, train))
        # Squeeze and excitation: each channel is scaled by a function of the whole map's means.
        gate = x.mean(axis=(1, 2), keepdims=True)
        gate = nn.relu(
            convolution(hidden // SQUEEZE_RATIO, 1, self.dtype, "squeeze", bias=True)(gate)
        )
        gate = convolution(hidden, 1, self.dtype, "excite", bias=True)(gate)
        x = x * nn.sigmoid(gate)
        return ConvNorm(self.width, 1, self.dtype, name="reduce")(x, train)


def offsets(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns between any two places of a map: two int64 [height * width] squared."""
    rows, columns = np.indices((height, width)).reshape(2, -1)
    return tuple(np.abs(x[:, None] - x[None]) for x in (rows, columns))


class CascadedAttention(nn.Module):
    """Self-attention whose heads each see a part of the channels and the previous head's output.

    Attributes:
        window: side of the largest map that it sees.
        heads: number of heads, among which the channels are divided.
    """

    window: int
    heads: int
    dtype: Dtype

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """x: [B, h, w, C] of one window, h and w <= window -> the same shape."""
        batch, h, w, width = x.shape
        head_width = width // self.heads
        init = with_axes(nn.initializers.zeros, (None,) * 3)
        table = self.param("position_bias", init, (self.heads, self.window, self.window))
        bias = table[(slice(None), *offsets(h, w))]  # [heads, h * w, h * w]
        outputs: list[jax.Array] = []
        for i, part in enumerate(jnp.split(x, self.heads, axis=-1)):
            if i:
                part = part + outputs[-1]
            qkv = ConvNorm(2 * KEY_WIDTH + head_width, 1, self.dtype, name=f"qkv_{i}")
            query, key, value = jnp.split(qkv(part, train), (KEY_WIDTH, 2 * KEY_WIDTH), axis=-1)
            size = QUERY_KERNELS[i]
            conv = ConvNorm(KEY_WIDTH, size, self.dtype, groups=KEY_WIDTH, name=f"query_{i}")
            query = conv(query, train)
            query, key, value = (z.reshape(batch, h * w, z.shape[-1]) for z in (query, key, value))
            logits = jnp.einsum("bqd,bkd->bqk", query, key, preferred_element_type=jnp.float32)
            weights = nn.softmax(logits * KEY_WIDTH**-0.5 + bias[i][None]).astype(self.dtype)
            outputs.append(jnp.einsum("bqk,bkd->bqd", weights, value).reshape(batch, h, w, -1))
        x = nn.relu(jnp.concatenate(outputs, axis=-1))
        return ConvNorm(width, 1, self.dtype, scale_init=nn.initializers.zeros, name="projection")(
            x, train
        )


class WindowAttention(nn.Module):
    """Cascaded attention within each window of a map, which zeros fill up to whole windows."""

    window: int
    heads: int
    dtype: Dtype

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """x: [B, H, W, C] -> the same shape."""
        batch, height, width, channels = x.shape
        h, w = min(self.window, height), min(self.window, width)
        rows, columns = -(-height // h), -(-width // w)
        filling = ((0, 0), (0, rows * h - height), (0, columns * w - width), (0, 0))
        x = jnp.pad(x, filling).reshape(batch, rows, h, columns, w, channels)
        x = x.swapaxes(2, 3).reshape(batch * rows * columns, h, w, channels)
        x = CascadedAttention(self.window, self.heads, self.dtype, name="cascade")(x, train)
        x = x.reshape(batch, rows, columns, h, w, channels).swapaxes(2, 3)
        return x.reshape(batch, rows * h, columns * w, channels)[:, :height, :width]


class EfficientViTM5(nn.Module):
    """Collections "params" and "batch_stats"; with `train` the latter must be mutable.

    Attributes:
        dtype: of the activations; parameters, statistics and softmax are float32.
    """

    dtype: Dtype

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """images: normalised [B, H, W, 3] -> [B, H / 64, W / 64, 384], rounded up.

        train: normalises with the batch's statistics and updates the stored ones.
        """
        x = images
        for i, width in enumerate(EMBEDDING_WIDTHS):
            x = nn.relu(x) if i else x
            x = ConvNorm(width, 3, self.dtype, stride=2, name=f"embedding_{i}")(x, train)
        stages = zip(WIDTHS, DEPTHS, HEADS, WINDOWS, strict=True)
        for stage, (width, depth, heads, window) in enumerate(stages):
            if stage:
                x = ConvMlp(self.dtype, name=f"stage_{stage}_before")(x, train)
                x = Downsample(width, self.dtype, name=f"stage_{stage}_downsample")(x, train)
                x = ConvMlp(self.dtype, name=f"stage_{stage}_after")(x, train)
            for i in range(depth):
                name = f"stage_{stage}_block_{i}"
                x = ConvMlp(self.dtype, name=f"{name}_first")(x, train)
                attention = WindowAttention(window, heads, self.dtype, name=f"{name}_attention")
                x = x + attention(x, train)
                x = ConvMlp(self.dtype, name=f"{name}_second")(x, train)
        return x
