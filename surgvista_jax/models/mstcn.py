"""MS-TCN, causal or not: frames refined by the context of their whole video.

Stages of dilated convolutions over the frames of a video (Farha & Gall, CVPR 2019): the first reads
the features of a backbone, each further one the class probabilities of the stage before. The causal
form looks at past frames only (TeCNO; Czempiel et al., MICCAI 2020).
"""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn

from surgvista_jax.checks import check, check_whole

# Uniform in +-1/sqrt(fan in), as the published models start.
_INIT = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
# The products are small; at full precision every device gives the same predictions.
PRECISION = jax.lax.Precision.HIGHEST


@dataclasses.dataclass(frozen=True)
class MsTcnConfig:
    """The sizes of an MS-TCN.

    Attributes:
        stages: S; all but the first refine the one before.
        layers: of a stage; the dilation of layer i is 2**i frames, so that a stage sees
            (kernel_size - 1) * (2**layers - 1) frames beyond its own.
        feature_maps: channels of a stage.
        causal: a frame sees itself and frames before it; otherwise as many on either side.
        dropout: share of a layer's values that training drops.
        kernel_size: frames that a convolution reads; odd unless causal.
    """

    stages: int = 2
    layers: int = 8
    feature_maps: int = 32
    causal: bool = True
    dropout: float = 0.5
    kernel_size: int = 3

    def __post_init__(self) -> None:
        check_whole(self, 1, "stages", "feature_maps", "kernel_size", highest=2**18)
        check_whole(self, 1, "layers", highest=20)  # of which each sees twice as far
        check(self, "from 0 to below 1", lambda share: 0 <= share < 1, "dropout")
        check(self, "odd unless causal", lambda size: self.causal or size % 2, "kernel_size")


class DilatedLayer(nn.Module):
    """x + dropout(pointwise(relu(dilated convolution of x)))."""

    config: MsTcnConfig
    dilation: int

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array, train: bool) -> jax.Array:
        """x: [B, L, F], zero where mask [B, L, 1] is False; the result [B, L, F] is so too."""
        size, features, length = self.config.kernel_size, x.shape[-1], x.shape[1]
        reach = (size - 1) * self.dilation
        before = reach if self.config.causal else reach // 2
        padded = jnp.pad(x, ((0, 0), (before, reach - before), (0, 0)))
        starts = [tap * self.dilation for tap in range(size)]
        taps = [padded[:, start : start + length] for start in starts]
        y = _dense(features, "dilated")(jnp.concatenate(taps, axis=-1))  # [B, L, size*F] in
        y = _dense(features, "pointwise")(nn.relu(y))
        y = nn.Dropout(self.config.dropout, deterministic=not train)(y)
        return jnp.where(mask, x + y, 0)


class Stage(nn.Module):
    """One stage: [B, L, any] -> logits [B, L, C]."""

    config: MsTcnConfig
    num_classes: int

    @nn.compact
    def __call__(self, x: jax.Array, mask: jax.Array, train: bool) -> jax.Array:
        x = jnp.where(mask, _dense(self.config.feature_maps, "embedding")(x), 0)
        for i in range(self.config.layers):
            x = DilatedLayer(self.config, 2**i, name=f"layer{i}")(x, mask, train)
        return jnp.where(mask, _dense(self.num_classes, "head")(x), 0)


class MsTcn(nn.Module):
    """Frame features of whole videos -> the class logits of every stage.

    Parameters: stage<s>/{embedding, layer<i>/{dilated, pointwise}, head}/{kernel, bias}. The kernel
    of `dilated` is [kernel_size * F, F], the earliest frame first.
    """

    config: MsTcnConfig
    num_classes: int

    @nn.compact
    def __call__(self, features: jax.Array, mask: jax.Array, train: bool) -> jax.Array:
        """Runs all stages; the last one's logits are the prediction.

        Args:
            features: float32 [B, L, F].
            mask: bool [B, L], False for padding behind a video's end. Padding is to the real frames
                what lies beyond the ends of an unpadded video: zeros in every layer.
            train: drops values; needs the random stream "dropout".

        Returns:
            float32 [S, B, L, C]; 0 at padding.
        """
        keep = mask[..., None]
        logits = []
        x = jnp.where(keep, features, 0)
        for i in range(self.config.stages):
            logits.append(Stage(self.config, self.num_classes, name=f"stage{i}")(x, keep, train))
            x = nn.softmax(logits[-1])
        return jnp.stack(logits)


def _dense(features: int, name: str) -> nn.Dense:
    return nn.Dense(features, kernel_init=_INIT, precision=PRECISION, name=name)
