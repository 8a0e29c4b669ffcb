"""From a backbone's tokens to class scores: pooling, norm, dropout and a linear layer."""

import dataclasses

import jax
import jax.numpy as jnp
from flax import linen as nn

from surgvista_jax.checks import check, check_one_of, check_whole
from surgvista_jax.models.layers import (
    ComputeConfig,
    Linear,
    Mlp,
    TransformerConfig,
    token_initializer,
)
from surgvista_jax.models.logical_axes import with_axes
from surgvista_jax.models.norm import LayerNorm

POOLS = ("mean", "class")


@dataclasses.dataclass(frozen=True)
class HeadConfig:
    """The classifier behind a backbone.

    Attributes:
        pool: what is classified: the tokens' "mean" or the "class" token. In the mode
            "attentive" a learned query picks it by cross-attention instead.
        dropout: of the pooled features.
        heads: attention heads of the attentive pool.
        components: the triplet table, "cholect50" or "prostatd", whose instruments, verbs and
            targets are predicted beside the triplets as a further aim of training; "" for none.
    """

    pool: str = "mean"
    dropout: float = 0.5
    heads: int = 12
    components: str = ""

    def __post_init__(self) -> None:
        check_one_of(self, POOLS, "pool")
        check(self, "from 0 to below 1", lambda share: 0 <= share < 1, "dropout")
        check_whole(self, 1, "heads", highest=2**18)


class AttentivePool(nn.Module):
    """One learned query that attends to all tokens, and an MLP: [B, N, D] -> [B, D].

    Source: the attentive probe of Bardes et al., "Revisiting Feature Prediction for Learning Visual
    Representations from Video" (2024): a cross-attention block in front of the linear layer.
    """

    heads: int
    compute: ComputeConfig

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        dtype = jnp.dtype(self.compute.dtype)
        b, _, width = tokens.shape
        init = with_axes(token_initializer(), (None,))
        query = self.param("query", init, (width,))

        def project(x: jax.Array, name: str) -> jax.Array:
            x = Linear(width, ("embed", "mlp"), dtype, name=name)(x)
            return x.reshape(*x.shape[:-1], self.heads, width // self.heads)

        x = LayerNorm(dtype, name="token_norm")(tokens)
        # The query is the same for all clips: one product of [heads, hd] with the keys.
        asked = project(query[None].astype(dtype), "query_projection")[0]
        match = jnp.einsum(
            "hk,bnhk->bhn",
            asked,
            project(x, "key_projection"),
            preferred_element_type=jnp.float32,
        )
        weight = jax.nn.softmax(match * asked.shape[-1] ** -0.5, axis=-1)
        picked = jnp.einsum(
            "bhn,bnhk->bhk", weight.astype(dtype), project(x, "value_projection")
        ).reshape(b, width)
        x = query[None].astype(dtype) + Linear(width, ("mlp", "embed"), dtype, name="output")(
            picked
        )
        sizes = TransformerConfig(width, depth=1, heads=self.heads)
        return x + Mlp(sizes, dtype, name="mlp")(LayerNorm(dtype, name="mlp_norm")(x))


class Head(nn.Module):
    """Class logits from tokens; everything after the pooling is computed in float32.

    Attributes:
        config: its settings.
        compute: how the attentive pool is computed.
        attentive: pools by a learned query, whatever `config.pool` says.
        num_classes: C.
        class_token: whether the first token is a class token.
        norm: a layer norm of the pooled features, for a backbone that ends without one.
        num_components: further outputs, the classes of the components together.
        norm_epsilon: of that norm.
    """

    config: HeadConfig
    compute: ComputeConfig
    num_classes: int
    attentive: bool = False
    class_token: bool = False
    norm: bool = True
    num_components: int = 0
    norm_epsilon: float = 1e-6

    @nn.compact
    def __call__(
        self, tokens: jax.Array, train: bool
    ) -> tuple[jax.Array, jax.Array, jax.Array | None]:
        """tokens [B, N, D] -> (features [B, D], logits [B, C], component logits or None)."""
        x = self._pooled(tokens).astype(jnp.float32)
        if self.norm:
            x = LayerNorm(jnp.float32, self.norm_epsilon, name="norm")(x)
        features = x
        x = nn.Dropout(self.config.dropout, deterministic=not train)(x)

        def linear(outputs: int, name: str) -> jax.Array:
            axes = ("embed", "output")
            init = nn.initializers.truncated_normal(0.02)
            # A GPU would round what is multiplied to TF32, whose 10 bits are fewer than float32's.
            precision = jax.lax.Precision.HIGHEST
            return Linear(outputs, axes, jnp.dtype(jnp.float32), init, precision, name=name)(x)

        components = linear(self.num_components, "components") if self.num_components else None
        return features, linear(self.num_classes, "head"), components

    def _pooled(self, tokens: jax.Array) -> jax.Array:
        if self.attentive:
            return AttentivePool(self.config.heads, self.compute, name="pool")(tokens)
        return pool_tokens(tokens, self.config.pool, self.class_token)


def pool_tokens(tokens: jax.Array, pool: str, class_token: bool) -> jax.Array:
    """Pools without parameters, in float32: [B, N, D] -> [B, D].

    Args:
        tokens: the class token first, where there is one.
        pool: "mean", of all but the class token, or "class".
        class_token: whether the first token is one.
    """
    if pool == "class":
        if not class_token:
            raise ValueError("pool 'class' needs a backbone with a class token")
        return tokens[:, 0].astype(jnp.float32)
    return tokens[:, int(class_token) :].astype(jnp.float32).mean(1)
