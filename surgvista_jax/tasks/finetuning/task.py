"""The finetuning task: its model, what of it is trained, and its loss."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.errors import UserError
from surgvista_jax.facts.triplets import TABLES
from surgvista_jax.models.backbones import BackboneConfig, as_parts, make_backbone, variables_of
from surgvista_jax.models.flops import FORWARD_AND_BACKWARD, backbone_flops
from surgvista_jax.models.heads import Head
from surgvista_jax.models.lora import init_adapters, merge_adapters
from surgvista_jax.models.patches import normalise
from surgvista_jax.tasks import losses
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.finetuning.mixing import augment_batch

# One positive in a whole dataset would otherwise outweigh everything else in its batch.
_MOST_POSITIVE = 100.0


@dataclasses.dataclass(frozen=True)
class Labels:
    """What the labels of a dataset are.

    Attributes:
        classes: names, C of them.
        kind: "single" or "multi".
        weight: float32 [C] or None: by which a class's clips, or with several classes a clip its
            positives, count in the loss.
    """

    classes: tuple[str, ...]
    kind: str
    weight: np.ndarray | None = None


def class_weights(label: np.ndarray, num_classes: int) -> np.ndarray:
    """Weights by which every class counts alike, float32 [C].

    Args:
        label: of the training clips: int [N] class ids, or float [N, C] of 0 and 1.
        num_classes: C.

    Returns:
        Class ids: 1 / share, scaled so that the mean over clips is 1. Several classes a clip: clips
        without / clips with the class, 100 at most. A class that never occurs has weight 0.
    """
    if label.ndim == 2:
        positives = label.sum(0)
        weight = np.divide(
            len(label) - positives, positives, out=np.zeros(num_classes), where=positives > 0
        )
        return np.minimum(weight, _MOST_POSITIVE).astype(np.float32)
    counts = np.bincount(label, minlength=num_classes).astype(np.float64)
    inverse = np.divide(len(label), counts, out=np.zeros(num_classes), where=counts > 0)
    return (inverse / (counts > 0).sum()).astype(np.float32)


@dataclasses.dataclass(frozen=True)
class Finetuning:
    """The model of one configuration, and what is computed with it.

    Its parameters are {"backbone", "norm"?, "head", "pool"?, "components"?}; beside them a CNN has
    "batch_stats".

    Attributes:
        config: the run's configuration.
        model: the backbone as it is finetuned.
        clip: what it sees.
        labels: what it predicts.
    """

    config: FinetuneConfig
    model: BackboneConfig
    clip: ClipConfig
    labels: Labels

    @property
    def backbone(self):
        grid = self.model.grid(self.clip.num_frames, self.clip.size, self.clip.size)
        return make_backbone(self.model, self.config.compute, grid)

    @property
    def head(self) -> Head:
        ends_with_norm = self.model.encoder is None or self.model.encoder.norm
        return Head(
            self.config.head,
            self.config.compute,
            len(self.labels.classes),
            attentive=self.config.mode == "attentive",
            class_token=self.model.class_token,
            norm=not ends_with_norm,
            num_components=sum(map(len, self._component_members)),
        )

    def _init_backbone(self, key: jax.Array) -> dict:
        """Random variables of the backbone, boxed: {"backbone", "batch_stats"?}."""
        video = jnp.zeros((1, *self._clip_shape), jnp.float32)
        return as_parts(self.backbone.init(key, video, False))

    def _init_head(self, key: jax.Array) -> dict:
        """Random parameters behind the backbone, boxed."""
        video = jax.ShapeDtypeStruct((1, *self._clip_shape), jnp.float32)
        tokens = jax.eval_shape(
            lambda video: self.backbone.init_with_output(jax.random.key(0), video, False)[0], video
        )
        return self.head.init(key, jnp.zeros(tokens.shape, tokens.dtype), False)["params"]

    @property
    def _clip_shape(self) -> tuple[int, int, int, int]:
        return self.clip.num_frames, self.clip.size, self.clip.size, 3

    def init_params(self) -> dict:
        """All parameters, random and boxed with their logical axes."""
        keys = jax.random.split(jax.random.key(self.config.seed), 3)
        return {**self._init_backbone(keys[0]), **self._init_head(keys[1])}

    def init_trained(self) -> dict:
        """What is trained; with adapters, fresh ones stand in for the backbone."""
        params = self.init_params()
        trained = {name: value for name, value in params.items() if name not in self._frozen}
        if self.config.mode == "lora":
            key = jax.random.fold_in(jax.random.key(self.config.seed), 1)
            trained["adapters"] = init_adapters(key, params["backbone"], self.config.lora)
        return trained

    def init_frozen(self) -> dict:
        """What is not trained and gets no moments: batch statistics, and by mode the backbone."""
        params = self.init_params()
        return {name: value for name, value in params.items() if name in self._frozen}

    @property
    def _frozen(self) -> tuple[str, ...]:
        # Batches of clips are small and their frames alike: statistics stay the pretrained ones.
        return ("batch_stats",) if self.config.mode == "full" else ("batch_stats", "backbone")

    def whole(self, trained: Mapping, frozen: Mapping) -> dict:
        """All parameters; adapters are merged into the backbone."""
        params = {**frozen, **trained}
        if "adapters" in params:
            adapters = params.pop("adapters")
            params["backbone"] = merge_adapters(params["backbone"], adapters, self.config.lora)
        return params

    def tokens(self, params: Mapping, video: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """Backbone tokens [B, N, D] of normalised video; with a key it trains (drop path)."""
        rngs = {} if key is None else {"drop_path": key}
        return self.backbone.apply(variables_of(params), video, key is not None, rngs=rngs)

    def classify(
        self, params: Mapping, tokens: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array, jax.Array | None]:
        """(features [B, D], logits [B, C], component logits); with a key it trains (dropout)."""
        own = {name: params[name] for name in params if name not in ("backbone", "batch_stats")}
        rngs = {} if key is None else {"dropout": key}
        return self.head.apply({"params": own}, tokens, key is not None, rngs=rngs)

    def predict(self, params: Mapping, video: jax.Array) -> jax.Array:
        """Probabilities float32 [B, C] of uint8 video [B, T, H, W, 3]."""
        pixels = normalise(video, jnp.dtype(self.config.compute.dtype))
        return self.probabilities(self.classify(params, self.tokens(params, pixels))[1])

    def probabilities(self, logits: jax.Array | np.ndarray) -> jax.Array:
        """Softmax, or with several classes a clip each class's own probability: [B, C]."""
        return jax.nn.softmax(logits) if self.labels.kind == "single" else jax.nn.sigmoid(logits)

    def loss(
        self, trained: Mapping, frozen: Mapping, batch: dict, key: jax.Array, average: Any = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Mean loss of an augmented batch, and its parts; `average` is not looked at."""
        mix_key, path_key, dropout_key = jax.random.split(key, 3)
        pixels, target = augment_batch(
            mix_key,
            batch["video"],
            batch["label"],
            self.config.mix,
            num_classes=len(self.labels.classes),
            dtype=jnp.dtype(self.config.compute.dtype),
        )
        params = self.whole(trained, frozen)
        frozen_backbone = self.config.mode == "attentive"
        tokens = self.tokens(params, pixels, None if frozen_backbone else path_key)
        _, logits, components = self.classify(params, tokens, dropout_key)
        return self.label_loss(logits, components, target)

    def label_loss(
        self, logits: jax.Array, components: jax.Array | None, target: jax.Array
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Soft cross entropy, or with several classes a clip binary; means over clips.

        Args:
            logits: float32 [B, C].
            components: float32 [B, classes of all components], or None.
            target: float32 [B, C].
        """
        weight = None if self.labels.weight is None else jnp.asarray(self.labels.weight)
        if self.labels.kind == "single":
            return losses.soft_cross_entropy(logits, target, weight).mean(), {}
        loss = losses.binary_cross_entropy(logits, target, weight).mean()
        if components is None:
            return loss, {}
        parts, start = {"triplet_loss": loss}, 0
        for name, members in zip("ivt", self._component_members, strict=True):
            present = jnp.stack([target[:, ids].max(1) for ids in members], axis=1)
            found = components[:, start : start + len(members)]
            parts[f"{name}_loss"] = losses.binary_cross_entropy(found, present).mean()
            start += len(members)
        return sum(parts.values()), parts

    @property
    def _component_members(self) -> tuple[tuple[np.ndarray, ...], ...]:
        """Of each component and each of its classes, the triplets that share it."""
        if not self.config.head.components:
            return ()
        table = TABLES[self.config.head.components]
        ids = [table.component_ids(name) for name in "ivt"]
        return tuple(
            tuple(np.flatnonzero(part == k) for k in range(part.max() + 1)) for part in ids
        )

    @property
    def flops_per_clip(self) -> dict[str, float]:
        """Operations that training on one clip needs, without recomputation."""
        forward = backbone_flops(self.model, self.clip.num_frames, self.clip.size)
        return {"mfu": forward * (1 if self.config.mode == "attentive" else FORWARD_AND_BACKWARD)}

    @property
    def sharded_dims(self) -> dict[str, dict[str, int]]:
        """The sizes that a mesh must divide: logical axis -> name -> size."""
        if self.model.encoder is None:
            return {}
        stack = self.model.encoder.transformer
        return {
            "embed": {"model.width": stack.width},
            "heads": {"model.heads": stack.heads},
            "mlp": {"model's MLP width": stack.mlp_width},
        }


def make_finetuning(
    config: FinetuneConfig, model: BackboneConfig, clip: ClipConfig, dataset: Dataset, label: Any
) -> Finetuning:
    """Makes the task of a configuration.

    Args:
        model: the backbone as it is finetuned.
        clip: what it sees.
        dataset: whose classes are predicted.
        label: of the training clips, int [N] or float [N, C].

    Raises:
        UserError: parts that do not fit together.
    """
    if dataset.task == "none" or not dataset.classes:
        raise UserError(f"{dataset.folder / 'dataset.json'}: has no classes to be finetuned on")
    table = config.head.components
    if table and table not in TABLES:
        raise UserError(f"config.head.components={table!r}: one of {', '.join(TABLES)}")
    if table and len(TABLES[table].rows) != len(dataset.classes):
        raise UserError(
            f"config.head.components={table!r}: has {len(TABLES[table].rows)} triplets, the dataset"
            f" {len(dataset.classes)} classes"
        )
    if config.mode == "lora" and model.encoder is None:
        raise UserError(f"config.mode='lora': adapters are for ViTs, not for {model.architecture}")
    if config.mode == "attentive" and model.width % config.head.heads:
        raise UserError(
            f"config.head.heads={config.head.heads}: should divide the width of the backbone, which"
            f" is {model.width}"
        )
    try:
        model.grid(clip.num_frames, clip.size, clip.size)
    except ValueError as error:
        raise UserError(f"config.clip: {error}") from None
    weight = None
    if config.class_weights == "balanced":
        weight = class_weights(label, len(dataset.classes))
    return Finetuning(config, model, clip, Labels(dataset.classes, dataset.label_kind, weight))
