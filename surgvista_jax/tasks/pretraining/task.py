"""The pretraining task: its models and its loss."""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from surgvista_jax.data.batches.masking import hidden_count, token_grid
from surgvista_jax.data.batches.stretches import stretch_frames
from surgvista_jax.errors import UserError
from surgvista_jax.models import float8
from surgvista_jax.models.image_vit import ImageEncoder, TeacherConfig
from surgvista_jax.models.masked_autoencoder import MaskedAutoencoder, Predictions
from surgvista_jax.models.patches import gather_of_clips, patchify
from surgvista_jax.tasks.pretraining import losses
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.sizes import Sizes
from surgvista_jax.training.partition import num_shares


class Pretraining(Sizes):
    """The models of one configuration, and what is computed with them."""

    def init_trained(self) -> Any:
        """Random parameters of the student, boxed with their logical axes."""
        n, hidden = self.num_tokens, self.num_hidden
        patches = jnp.zeros((1, n, self.config.model.patch_values), jnp.uint8)
        ids = jnp.arange(n, dtype=jnp.int32)[None, None]
        key = jax.random.fold_in(jax.random.key(self.config.seed), 0)
        variables = self.student.init(key, patches, ids[..., hidden:], ids[..., :hidden], False)
        return variables["params"]

    def init_frozen(self) -> Any:
        """Parameters of the teacher, boxed; an empty tree without one.

        With products of 8-bit floats, beside them what goes into each, `note_inputs`.
        """
        if self.teacher is None:
            return {}
        images = jnp.zeros((1, self.config.clip.size, self.config.clip.size, 3), jnp.uint8)
        key = jax.random.fold_in(jax.random.key(self.config.seed), 1)
        variables = self.teacher.init(key, images)
        beside = {name: variables[name] for name in variables if name == float8.COLLECTION}
        return {**variables["params"], **beside}

    def predict(
        self, params: Any, batch: Mapping[str, jax.Array], key: jax.Array | None = None
    ) -> tuple[jax.Array, Predictions]:
        """Runs the student on a batch; with a key it trains (drop path), without it does not.

        A batch of stretches is one of their clips, whose masks come one clip after the other.

        Returns:
            uint8 [B*K, M, P], the hidden patches, and what the student predicts of them.
        """
        masks = _masks_of(batch)
        patches = patchify(batch["video"], self.config.model.tubelet, self.config.model.patch)
        rngs = {} if key is None else {"drop_path": key}
        predictions: Any = self.student.apply(
            {"params": params}, patches, *masks, key is not None, rngs=rngs
        )
        return gather_of_clips(patches, masks[1], self.grid), predictions

    def features(self, teacher_params: Any, batch: dict) -> jax.Array:
        """What the teacher says of the hidden patches: float32 [B*K, M, F], without gradient.

        It sees the first frame of each tubelet, once for all clips of a stretch.
        """
        assert self.teacher is not None
        rows, length = batch["video"].shape[:2]
        seen = math.ceil(length / self.config.model.tubelet)
        spare = self._spare_images(rows, seen)
        images, hidden, ids = self._images(batch["video"], spare), _masks_of(batch)[1], None
        if self.hidden_per_image is not None:
            ids = hidden.reshape(rows, seen, -1) % (self.grid[1] * self.grid[2])
            ids = jnp.pad(ids, ((0, 0), (0, spare), (0, 0))).reshape(len(images), -1)
        # [B*(t + spare), h*w or M/t, F]
        tokens: Any = self.teacher.apply(_as_variables(teacher_params), images, ids)
        tokens = tokens.reshape(rows, -1, tokens.shape[-1])[:, : seen * tokens.shape[1]]
        if ids is None:
            tokens = gather_of_clips(tokens, hidden, self.grid)
        return jax.lax.stop_gradient(tokens.astype(jnp.float32))

    def _spare_images(self, rows: int, images: int) -> int:
        """Empty images behind those of each row, so that XLA need not pad each 8-bit product."""
        assert self.teacher is not None
        config = self.teacher.config
        if not config.is_float8:
            return 0
        rows //= num_shares(jax.sharding.get_abstract_mesh())
        tokens = config.encoder.class_token + self.grid[1] * self.grid[2]
        return float8.images_to_fill(rows, images, tokens)

    def note_inputs(self, teacher_params: Any, video: jax.Array) -> Any:
        """What goes into each of the teacher's products on some clips: its mean and size.

        Args:
            teacher_params: of `init_frozen`.
            video: uint8 [B, T, H, W, 3].

        Returns:
            What stands beside the teacher's parameters for products of 8-bit floats.
        """
        assert self.teacher is not None
        params = {"params": _as_variables(teacher_params)["params"]}
        _, noted = self.teacher.apply(params, self._images(video), mutable=[float8.COLLECTION])
        return noted[float8.COLLECTION]

    def _images(self, video: jax.Array, spare: int = 0) -> jax.Array:
        """The first frame of each tubelet, and empty ones behind: [B*(t + spare), H, W, 3]."""
        frames = video[:, :: self.config.model.tubelet]
        frames = jnp.pad(frames, ((0, 0), (0, spare), *[(0, 0)] * 3))
        return frames.reshape(-1, *frames.shape[2:])

    def loss(
        self,
        params: Any,
        teacher_params: Any,
        batch: dict,
        key: jax.Array | None,
        average: Any = None,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """The objective of a batch and its parts, each a mean over its clips.

        Args:
            key: of the drop path; None for none.
            average: not looked at, the teacher being another model.
        """
        objective = self.config.objective
        hidden_patches, predictions = self.predict(params, batch, key)
        target = losses.pixel_targets(hidden_patches, objective.pixels)
        weight = _weight_of(batch)
        parts = {"pixel_loss": losses.pixel_loss(predictions.pixels, target, weight)}
        loss = objective.pixel_weight * parts["pixel_loss"]
        if predictions.features is not None:
            target = self.features(teacher_params, batch)
            parts["feature_loss"] = losses.feature_loss(
                predictions.features, target, objective, weight
            )
            loss += objective.feature_weight * parts["feature_loss"]
        return loss, parts


def _masks_of(batch: Mapping[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
    """visible_ids [B, K, V] and hidden_ids [B, K, M], also with one mask or several clips a row."""
    visible, hidden = (
        ids.reshape(ids.shape[0], -1, ids.shape[-1]) if ids.ndim != 3 else ids
        for ids in (batch["visible_ids"], batch["hidden_ids"])
    )
    return visible, hidden


def _weight_of(batch: Mapping[str, jax.Array]) -> jax.Array | None:
    """By which the loss of each clip under each mask counts, [B*K]; None: all alike."""
    if "weight" not in batch:
        return None
    weight = batch["weight"].reshape(-1)
    masks = math.prod(batch["visible_ids"].shape[:-1]) // len(weight)
    return jnp.repeat(weight, masks) if masks > 1 else weight


def _as_variables(frozen: Mapping[str, Any]) -> dict[str, Any]:
    """What `init_frozen` makes, as a model takes it."""
    frozen = dict(frozen)
    beside = {name: frozen.pop(name) for name in (float8.COLLECTION,) if name in frozen}
    return {"params": frozen, **beside}


def make_pretraining(config: PretrainConfig) -> Pretraining:
    """Makes the models of a configuration. Raises UserError for parts that do not fit together."""
    grid = token_grid(config.clip, config.model.tubelet, config.model.patch)
    hidden_count(config.mask.kind, grid, config.mask.ratio)  # refuses masks without any token
    stretch_frames(config.clip, config.model.tubelet)  # refuses stretches that are too long
    teacher = None
    feature_width = 0
    if config.teacher is not None:
        _check_teacher(config.teacher, config.model.patch)
        teacher = ImageEncoder(config.teacher, config.compute)
        feature_width = config.teacher.transformer.width
    student = MaskedAutoencoder(config.model, config.compute, grid, feature_width)
    return Pretraining(config, grid, student, teacher)


def _check_teacher(teacher: TeacherConfig, patch: int) -> None:
    if not teacher.weights:
        raise UserError(
            "config.teacher.weights='': say where they are, as [NAME:]FILE, or ask for random ones"
            " with =random; to train without a teacher, say --config.teacher=none"
        )
    if teacher.patch != patch:
        raise UserError(
            f"config.teacher.patch={teacher.patch}: should equal"
            f" config.model.patch={patch}: the teacher describes the student's patches"
        )
