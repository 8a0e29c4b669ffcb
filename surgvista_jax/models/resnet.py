"""ResNet-50, the image model of SelfSupSurg: one frame -> a map of features.

He et al., "Deep residual learning for image recognition", CVPR 2016; as everywhere in PyTorch, a
block's stride lies in its 3x3 convolution ("v1.5").
"""

import jax
from flax import linen as nn
from flax.typing import Dtype

from surgvista_jax.models.convolution import ConvNorm

DEPTHS = (3, 4, 6, 3)  # blocks of the four stages
STEM_WIDTH = 64
EXPANSION = 4  # a block's output channels, as a multiple of its inner ones
WIDTH = 2048  # channels of the last stage's output


def inner_width(stage: int) -> int:
    """Channels of the 3x3 convolutions of a stage, counted from 0."""
    return STEM_WIDTH * 2**stage


class Bottleneck(nn.Module):
    """relu(shortcut(x) + branch(x)); the branch is a 1x1, a 3x3 and a 1x1 convolution.

    The shortcut is a 1x1 convolution where the branch changes the shape, else the identity.
    """

    width: int
    stride: int
    project: bool
    dtype: Dtype

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        out = self.width * EXPANSION
        y = nn.relu(ConvNorm(self.width, 1, self.dtype, name="reduce")(x, train))
        conv = ConvNorm(self.width, 3, self.dtype, stride=self.stride, name="spatial")
        y = nn.relu(conv(y, train))
        y = ConvNorm(out, 1, self.dtype, name="expand")(y, train)
        if self.project:
            x = ConvNorm(out, 1, self.dtype, stride=self.stride, name="shortcut")(x, train)
        return nn.relu(x + y)


class ResNet50(nn.Module):
    """Collections "params" and "batch_stats"; with `train` the latter must be mutable.

    Attributes:
        dtype: of the activations; parameters and statistics are float32.
    """

    dtype: Dtype

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        """images: normalised [B, H, W, 3] -> [B, H / 32, W / 32, 2048], rounded up.

        train: normalises with the batch's statistics and updates the stored ones.
        """
        x = ConvNorm(STEM_WIDTH, 7, self.dtype, stride=2, name="stem")(images, train)
        x = nn.max_pool(nn.relu(x), (3, 3), strides=(2, 2), padding=((1, 1), (1, 1)))
        for stage, depth in enumerate(DEPTHS):
            for i in range(depth):
                block = Bottleneck(
                    inner_width(stage),
                    stride=2 if stage > 0 and i == 0 else 1,
                    project=i == 0,
                    dtype=self.dtype,
                    name=f"stage_{stage}_block_{i}",
                )
                x = block(x, train)
        return x
