"""The finetuning task: what of a classifier is trained, and its loss."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.errors import UserError
from surgvista_jax.facts.triplets import TABLES
from surgvista_jax.inference.classifier import Backbone, Classifier
from surgvista_jax.models.backbones import BackboneConfig
from surgvista_jax.models.flops import FORWARD_AND_BACKWARD, backbone_flops
from surgvista_jax.models.lora import init_adapters, merge_adapters
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.finetuning.labels import Labels, class_weights
from surgvista_jax.tasks.finetuning.mixing import augment_batch
from surgvista_jax.training.stacks import Stack


@dataclasses.dataclass(frozen=True)
class Finetuning:
    """What one configuration trains, and the loss that it trains with.

    Trained are the parts of a classifier's parameters that its mode does not freeze (see
    `inference.classifier`) and, in the mode "lora", {"adapters"} of its backbone.

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
    def classifier(self) -> Classifier:
        """What is computed with all parameters."""
        return Classifier(
            Backbone(self.model, self.clip, self.config.compute),
            self.config.head,
            len(self.labels.classes),
            self.labels.kind,
            attentive=self.config.mode == "attentive",
            norm=not self.model.ends_with_norm,
            num_components=self.labels.num_components,
        )

    def init_params(self) -> dict:
        """All parameters, random and boxed with their logical axes."""
        return self.classifier.init(jax.random.key(self.config.seed))

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

    def loss(
        self, params: Mapping, frozen: Mapping, batch: Mapping, key: jax.Array, average: Any = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Mean loss of an augmented batch, and its parts.

        Args:
            params: those that are trained, as of `init_trained`.
            frozen: the others, as of `init_frozen`.
            batch: "video", uint8 [B, T, H, W, 3], and "label", int32 [B] or float32 [B, C].
            key: of all that is random.
            average: the running mean of `params`, which this loss does not use.
        """
        mix_key, path_key, dropout_key = jax.random.split(key, 3)
        pixels, target = augment_batch(
            mix_key,
            batch["video"],
            batch["label"],
            self.config.mix,
            num_classes=len(self.labels.classes),
            dtype=jnp.dtype(self.config.compute.dtype),
        )
        whole, classifier = self.whole(params, frozen), self.classifier
        frozen_backbone = self.config.mode == "attentive"
        tokens = classifier.backbone.tokens(whole, pixels, None if frozen_backbone else path_key)
        _, logits, components = classifier.classify(whole, tokens, dropout_key)
        return self.labels.loss(logits, components, target)

    def batch_shapes(self, clips: int) -> dict[str, jax.ShapeDtypeStruct]:
        """The shapes and types of what the loss sees of a batch of so many clips."""
        clip, classes = self.clip, len(self.labels.classes)
        single = self.labels.kind == "single"
        video = (clips, clip.num_frames, clip.size, clip.size, 3)
        label = (clips,) if single else (clips, classes)
        return {
            "video": jax.ShapeDtypeStruct(video, jnp.uint8),
            "label": jax.ShapeDtypeStruct(label, jnp.int32 if single else jnp.float32),
        }

    @property
    def flops_per_clip(self) -> dict[str, float]:
        """Metric -> operations that training on one clip needs, without recomputation."""
        forward = backbone_flops(self.model, self.clip.num_frames, self.clip.size)
        return {"mfu": forward * (1 if self.config.mode == "attentive" else FORWARD_AND_BACKWARD)}

    @property
    def stacks(self) -> tuple[Stack, ...]:
        """The stacks of blocks that get a gradient; the head's are not counted apart."""
        encoder = self.model.encoder
        if encoder is None or self.config.mode == "attentive":
            return ()
        grid = self.model.grid(self.clip.num_frames, self.clip.size, self.clip.size)
        return (Stack(encoder.transformer, math.prod(grid) + encoder.class_token),)

    @property
    def sharded_dims(self) -> dict[str, dict[str, int]]:
        """The sizes that a mesh must divide: logical axis -> name -> size."""
        if self.model.encoder is None:
            return {}
        stack = self.model.encoder.transformer
        return {
            "embed": {"the backbone's width": stack.width},
            "heads": {"the backbone's heads": stack.heads},
            "mlp": {"the backbone's MLP width": stack.mlp_width},
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
        raise UserError(f"config.head.components={table!r}: should be one of {', '.join(TABLES)}")
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
    weight = None
    if config.class_weights == "balanced":
        weight = class_weights(label, len(dataset.classes))
    labels = Labels(dataset.classes, dataset.label_kind, weight, table)
    return Finetuning(config, model, clip, labels)
