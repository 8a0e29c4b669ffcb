"""Backbone and head as one function from clips to features and class scores.

Everything here is a pure function of parameters, which are a dict of parts: {"backbone", "norm"?,
"head", "pool"?, "components"?}, and "batch_stats" of a CNN.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.models.backbones import BackboneConfig, as_parts, make_backbone, variables_of
from surgvista_jax.models.heads import Head, HeadConfig, pool_tokens
from surgvista_jax.models.layers import ComputeConfig
from surgvista_jax.models.patches import normalise

OF_BACKBONE = ("backbone", "batch_stats")


def usual_clip(model: BackboneConfig) -> ClipConfig:
    """What a backbone sees where nothing says it.

    One frame an image model; 8 frames a video model whose tokens are single frames' (UMT); 16 any
    other.
    """
    if model.knows_no_time:
        return ClipConfig(num_frames=1, stride=1)
    return ClipConfig(num_frames=8, stride=8) if model.sees_single_frames else ClipConfig()


@dataclasses.dataclass(frozen=True)
class Backbone:
    """A backbone and the clips that it sees. Its part of the parameters is `OF_BACKBONE`.

    Attributes:
        model: what it is made of.
        clip: what it sees.
        compute: how it is computed.
    """

    model: BackboneConfig
    clip: ClipConfig
    compute: ComputeConfig

    @property
    def module(self) -> nn.Module:
        grid = self.model.grid(self.clip.num_frames, self.clip.size, self.clip.size)
        return make_backbone(self.model, self.compute, grid)

    def init(self, key: jax.Array) -> dict:
        """Random parameters, boxed with their logical axes."""
        return as_parts(self.module.init(key, self._no_clip(), False))

    def abstract_tokens(self) -> jax.ShapeDtypeStruct:
        """Shape and type of the tokens of one clip; traced once, which takes a while."""
        return _abstract_tokens(self)

    def pixels(self, video: jax.Array) -> jax.Array:
        """uint8 video [B, T, H, W, 3] -> the normalised pixels that `tokens` takes."""
        return normalise(video, jnp.dtype(self.compute.dtype))

    def tokens(self, params: Mapping, pixels: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """Tokens [B, N, D] of pixels [B, T, H, W, 3]; with a key it trains (drop path)."""
        rngs = {} if key is None else {"drop_path": key}
        found: Any = self.module.apply(variables_of(params), pixels, key is not None, rngs=rngs)
        return found

    def features(self, params: Mapping, video: jax.Array, pool: str) -> jax.Array:
        """Pooled tokens ("mean" or "class"), float32 [B, D], of uint8 video [B, T, H, W, 3]."""
        tokens = self.tokens(params, self.pixels(video))
        return pool_tokens(tokens, pool, self.model.class_token)

    def _no_clip(self) -> jax.Array:
        clip = self.clip
        return jnp.zeros((1, clip.num_frames, clip.size, clip.size, 3), jnp.float32)


@functools.lru_cache(maxsize=32)
def _abstract_tokens(backbone: Backbone) -> jax.ShapeDtypeStruct:
    def tokens(key: jax.Array) -> jax.Array:
        return backbone.module.init_with_output(key, backbone._no_clip(), False)[0]

    return jax.eval_shape(tokens, jax.random.key(0))


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A backbone and the head behind it.

    Attributes:
        backbone: see there.
        head: what stands behind it.
        num_classes: C.
        label_kind: "single", or "multi" where several classes may hold at once.
        attentive: whether the head pools by a learned query.
        norm: whether the head begins with a norm, because the backbone ends without one.
        num_components: further outputs of the head, the classes of the components together.
    """

    backbone: Backbone
    head: HeadConfig
    num_classes: int
    label_kind: str
    attentive: bool = False
    norm: bool = True
    num_components: int = 0

    @property
    def head_module(self) -> Head:
        return Head(
            self.head,
            self.backbone.compute,
            self.num_classes,
            attentive=self.attentive,
            class_token=self.backbone.model.class_token,
            norm=self.norm,
            num_components=self.num_components,
            norm_epsilon=self.backbone.model.last_epsilon,
        )

    def init(self, key: jax.Array) -> dict:
        """Random parameters, boxed with their logical axes."""
        # Of three, so that a seed stays the parameters that it has always been.
        backbone_key, head_key, _ = jax.random.split(key, 3)
        tokens = self.backbone.abstract_tokens()
        head = self.head_module.init(head_key, jnp.zeros(tokens.shape, tokens.dtype), False)
        return {**self.backbone.init(backbone_key), **head["params"]}

    def classify(
        self, params: Mapping, tokens: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array, jax.Array | None]:
        """What the head says of tokens [B, N, D]; with a key it trains (dropout).

        Returns:
            features [B, D], logits [B, C] and the components' logits or None, all float32.
        """
        own = {name: part for name, part in params.items() if name not in OF_BACKBONE}
        rngs = {} if key is None else {"dropout": key}
        found: Any = self.head_module.apply({"params": own}, tokens, key is not None, rngs=rngs)
        return found

    def features(self, params: Mapping, video: jax.Array) -> jax.Array:
        """What the last linear layer sees, float32 [B, D], of uint8 video [B, T, H, W, 3]."""
        return self._of_video(params, video)[0]

    def predict(self, params: Mapping, video: jax.Array) -> jax.Array:
        """Probabilities float32 [B, C] of uint8 video [B, T, H, W, 3]."""
        return self.probabilities(self._of_video(params, video)[1])

    def probabilities(self, logits: jax.Array | np.ndarray) -> jax.Array:
        """Softmax, or with several classes a clip each class's own probability: [..., C]."""
        return jax.nn.softmax(logits) if self.label_kind == "single" else jax.nn.sigmoid(logits)

    def _of_video(
        self, params: Mapping, video: jax.Array
    ) -> tuple[jax.Array, jax.Array, jax.Array | None]:
        return self.classify(params, self.backbone.tokens(params, self.backbone.pixels(video)))
