"""The convolution with batch norm that the frame CNNs are made of."""

import jax
from flax import linen as nn
from flax.typing import Dtype, Initializer

from surgvista_jax.models.logical_axes import with_axes


def batch_norm(
    dtype: Dtype, train: bool, name: str, scale_init: Initializer = nn.initializers.ones
) -> nn.BatchNorm:
    """Batch norm with epsilon 1e-5 and statistics that keep 9/10 of themselves at each update.

    train: normalises with the statistics of the batch, which must be mutable then, instead of the
        stored ones.
    """
    return nn.BatchNorm(
        use_running_average=not train,
        momentum=0.9,
        epsilon=1e-5,
        dtype=dtype,
        use_fast_variance=False,  # E[x^2] - E[x]^2 loses digits where the mean is large
        scale_init=with_axes(scale_init, (None,)),
        bias_init=with_axes(nn.initializers.zeros, (None,)),
        name=name,
    )


def convolution(
    features: int,
    size: int,
    dtype: Dtype,
    name: str,
    *,
    stride: int = 1,
    groups: int = 1,
    bias: bool = False,
) -> nn.Conv:
    """A square convolution over [B, H, W, C] with (size - 1) / 2 zeros on every side.

    The zeros lie symmetrically for every stride, as in PyTorch; "SAME" would shift strided ones.
    """
    return nn.Conv(
        features,
        (size, size),
        strides=stride,
        padding=(size - 1) // 2,
        feature_group_count=groups,
        use_bias=bias,
        dtype=dtype,
        # Kernels are small beside the activations: every device holds them whole.
        kernel_init=with_axes(nn.initializers.he_normal(), (None,) * 4),
        bias_init=with_axes(nn.initializers.zeros, (None,)),
        name=name,
    )


class ConvNorm(nn.Module):
    """Convolution without bias, then batch norm.

    Attributes:
        features: output channels.
        size: side of the kernel, odd.
        dtype: of the activations; parameters and statistics are float32.
        stride, groups: of the convolution; as many groups as channels make it depthwise.
        scale_init: start of the norm's scale; zeros let a residual branch start at zero.
    """

    features: int
    size: int
    dtype: Dtype
    stride: int = 1
    groups: int = 1
    scale_init: Initializer = nn.initializers.ones

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """x: [B, H, W, C] -> [B, ceil(H / stride), ceil(W / stride), features]."""
        conv = convolution(
            self.features, self.size, self.dtype, "conv", stride=self.stride, groups=self.groups
        )
        return batch_norm(self.dtype, train, "norm", self.scale_init)(conv(x))
