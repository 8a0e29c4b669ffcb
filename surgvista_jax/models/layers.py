"""The layers of the blocks that encoder, decoders and teacher share, and their sizes.

Dimension letters, here and everywhere: B batch, T frames, H W pixels, t h w token grid, N tokens,
V visible, M hidden, D width, K masks per clip, C classes, P pixel values per tubelet.
"""

import dataclasses
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from flax import linen as nn
from flax.typing import Dtype, Initializer

from surgvista_jax.checks import check, check_one_of, check_whole
from surgvista_jax.models.attention import attend, traced_for
from surgvista_jax.models.float8 import COLLECTION, multiplier, multiply
from surgvista_jax.models.gelu import gelu, multiply_gelu
from surgvista_jax.models.logical_axes import with_axes

# Takes some of the tokens: [B, N, F] -> [B, I, F].
Pick = Callable[[jax.Array], jax.Array]


def all_tokens(tokens: jax.Array) -> jax.Array:
    return tokens


REMAT_POLICIES = {
    "none": None,
    "full": jax.checkpoint_policies.nothing_saveable,
    "dots": jax.checkpoint_policies.dots_with_no_batch_dims_saveable,
}


@dataclasses.dataclass(frozen=True)
class TransformerConfig:
    """The sizes of a stack of blocks.

    Attributes:
        width: D, a multiple of heads.
        depth: number of blocks.
        heads: attention heads.
        mlp_ratio: hidden width of the MLP as a multiple of D.
        attention_bias: which of query, key and value get a bias: "none", "qv" (VideoMAE: a bias of
            the key changes no softmax) or "qkv".
        layer_scale: start value of the scales on both residual branches; 0 leaves them out.
        drop_path: share of samples whose branch the last block drops; it rises linearly from 0.
        norm_epsilon: of the blocks' layer norms; programs differ in it, and weights that come from
            a file bring their program's.
        final_epsilon: of the norm behind the last block; 0: that of the blocks.
    """

    width: int
    depth: int
    heads: int
    mlp_ratio: float = 4.0
    attention_bias: str = "qv"
    layer_scale: float = 0.0
    drop_path: float = 0.0
    norm_epsilon: float = 1e-6
    final_epsilon: float = 0.0

    def __post_init__(self) -> None:
        check_whole(self, 1, "width", "heads", highest=2**18)
        check_whole(self, 1, "depth", highest=1000)
        check(self, "above 0", lambda ratio: ratio > 0, "mlp_ratio")
        check(self, "above 0", lambda epsilon: epsilon > 0, "norm_epsilon")
        check(self, "0 or more", lambda x: x >= 0, "layer_scale", "final_epsilon")
        check(self, f"divisible by heads={self.heads}", lambda n: n % self.heads == 0, "width")
        check_one_of(self, ("none", "qv", "qkv"), "attention_bias")
        check(self, "from 0 to below 1", lambda share: 0 <= share < 1, "drop_path")

    @property
    def mlp_width(self) -> int:
        return int(self.width * self.mlp_ratio)

    @property
    def last_epsilon(self) -> float:
        """Epsilon of the norm behind the last block."""
        return self.final_epsilon or self.norm_epsilon


@dataclasses.dataclass(frozen=True)
class ComputeConfig:
    """How a model is computed. Nothing here changes its parameters or its checkpoint.

    Attributes:
        dtype: of activations and matrix products, "bfloat16" or "float32"; parameters, norms'
            statistics, softmax and losses are float32 in both.
        unroll: unrolls the scan over blocks: slower to compile, faster to run.
        remat: what a block keeps for its backward pass: "none" (everything), "dots" (matrix
            products), "full" (nothing but its input).
        deterministic: makes runs on GPUs equal to the bit, which costs time there; elsewhere they
            are so anyhow.
        check_memory: refuses a batch that clearly cannot fit, before anything is loaded.
        xla: options of the compiler beside those that are known to pay, as NAME=VALUE with commas
            between them (`training.xla_options`).
    """

    dtype: str = "bfloat16"
    unroll: bool = False
    remat: str = "none"
    deterministic: bool = False
    check_memory: bool = True
    xla: str = ""

    def __post_init__(self) -> None:
        check_one_of(self, ("bfloat16", "float32"), "dtype")
        check_one_of(self, REMAT_POLICIES, "remat")


def xavier_uniform(in_axes: tuple[int, ...], out_axes: tuple[int, ...]) -> Initializer:
    """Glorot's uniform draw for a kernel whose input or output spans several axes."""
    return nn.initializers.variance_scaling(
        1.0, "fan_avg", "uniform", in_axis=in_axes, out_axis=out_axes
    )


def token_initializer() -> Initializer:
    """Truncated normal of deviation 0.02, for class and mask tokens and learned positions."""
    return nn.initializers.truncated_normal(0.02)


class Linear(nn.Module):
    """x @ kernel + bias over the last axis, with a logical name for each axis of the kernel.

    With `after_gelu`, gelu(x) @ kernel + bias, where the backward pass keeps x and computes gelu(x)
    anew: of two arrays as large as an MLP is wide, one. `by_tanh`, and with `float8`, there is no
    gradient, and the GELU is the one by tanh, but where what goes into the product is noted.
    """

    features: int
    axes: tuple[str | None, str | None]
    dtype: Dtype
    kernel_init: Initializer = xavier_uniform((0,), (1,))
    precision: jax.lax.Precision | None = None
    after_gelu: bool = False
    by_tanh: bool = False
    float8: bool = False

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel_init = with_axes(self.kernel_init, self.axes)
        kernel = self.param("kernel", kernel_init, (x.shape[-1], self.features))
        # A bias that lies along the model width is small and read everywhere: it is not sharded.
        axis = self.axes[1] if self.axes[1] == "mlp" else None
        bias_init = with_axes(nn.initializers.zeros, (axis,))
        bias = self.param("bias", bias_init, (self.features,))
        x, kernel = x.astype(self.dtype), kernel.astype(self.dtype)
        if self.float8:
            if self.after_gelu:
                x = gelu(x) if self.is_mutable_collection(COLLECTION) else jax.nn.gelu(x)
            return multiplier(self, "input", x, centred=not self.after_gelu)(kernel, bias)
        if self.after_gelu and self.by_tanh:
            return multiply(jax.nn.gelu(x), kernel, bias, self.precision)
        return (multiply_gelu if self.after_gelu else multiply)(x, kernel, bias, self.precision)


class Attention(nn.Module):
    """Multi-head self-attention; one array holds the kernels of query, key and value.

    All tokens are attended to, and those that `pick` takes attend.
    """

    config: TransformerConfig
    dtype: Dtype
    deterministic: bool = False
    float8: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, differentiable: bool, pick: Pick = all_tokens) -> jax.Array:
        heads, width = self.config.heads, self.config.width
        head_width = width // heads
        kernel = self.param(
            "qkv_kernel",
            with_axes(xavier_uniform((0,), (1, 2, 3)), ("embed", None, "heads", None)),
            (width, 3, heads, head_width),
        )
        x = x.astype(self.dtype)
        product = multiplier(self, "input", x) if self.float8 else partial(multiply, x)
        parts = []
        for i, letter in enumerate("qkv"):
            # Three products of flat heads, not one that is cut up: so their biases are added where
            # they are computed, and nothing is copied for the attention kernel.
            bias = None
            if self.config.attention_bias != "none" and letter in self.config.attention_bias:
                bias = self.param(
                    f"{letter}_bias",
                    with_axes(nn.initializers.zeros, ("heads", None)),
                    (heads, head_width),
                ).reshape(width)
            part = product(kernel[:, i].reshape(width, width).astype(self.dtype), bias)
            part = pick(part) if letter == "q" else part
            parts.append(part.reshape(*part.shape[:-1], heads, head_width))
        x = attend(  # [B, N, heads, head_width]
            *parts, differentiable=differentiable, deterministic=self.deterministic
        )
        kernel = self.param(
            "out_kernel",
            with_axes(xavier_uniform((0, 1), (2,)), ("heads", None, "embed")),
            (heads, head_width, width),
        )
        bias_init = with_axes(nn.initializers.zeros, (None,))
        bias = self.param("out_bias", bias_init, (width,))
        x, kernel = x.reshape(*x.shape[:-2], width), kernel.reshape(width, width)
        product = multiplier(self, "mixed", x) if self.float8 else partial(multiply, x)
        return product(kernel.astype(self.dtype), bias)


class Mlp(nn.Module):
    """Two linear layers with the GELU between them.

    It is the exact one, or in blocks of which no gradient is asked, where a GPU multiplies bfloat16
    or 8-bit floats, the one by tanh. XLA computes that, and its rounding, within the product before
    it, where that is of two matrices. It differs by at most 5e-4, less than an eighth of what 8
    bits hold of a 1, and is nearer to the truth than the exact one of a sum that was rounded to
    bfloat16 first.
    """

    config: TransformerConfig
    dtype: Dtype
    float8: bool = False

    @nn.compact
    def __call__(self, x: jax.Array, differentiable: bool = True) -> jax.Array:
        on_gpu = self.dtype == jnp.bfloat16 and traced_for() == "gpu"
        by_tanh = not self.float8 and not differentiable and on_gpu
        linear = partial(Linear, dtype=self.dtype, by_tanh=by_tanh, float8=self.float8)
        within = by_tanh or (self.float8 and not self.is_mutable_collection(COLLECTION))
        shape = x.shape
        x = x.reshape(-1, shape[-1]) if within else x
        x = linear(self.config.mlp_width, ("embed", "mlp"), name="up")(x)
        x = linear(self.config.width, ("mlp", "embed"), after_gelu=True, name="down")(x)
        return x.reshape(shape)
