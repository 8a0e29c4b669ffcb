"""A trained model that answers for clips: features, tokens, probabilities, where it looks."""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from surgvista_jax.counted import counted
from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.errors import UserError
from surgvista_jax.inference.classifier import OF_BACKBONE, Backbone, Classifier
from surgvista_jax.inference.clip_arrays import as_clips
from surgvista_jax.inference.video_clips import clips_of_video
from surgvista_jax.models.attention_maps import block_shares, pool_shares, rollout
from surgvista_jax.models.video_vit import EncoderConfig

BATCH_SIZE = 16


class Model:
    """What `surgvista_jax.load` gives.

    Its methods take one clip, several, or an iterable of any length, in the forms that
    `inference.clip_arrays.as_clips` describes; `batch_size` of them are computed at a time on the
    default device (one, if it is a processor: what is said of a clip is then the same to the bit
    whatever is beside it), and what comes back is NumPy float32, with a first axis B for several
    clips and without it for one.

    Attributes:
        name: what it was loaded from.
        classes: names of its classes; () without a head.
        label_kind: "single", or "multi" where several classes hold at once; "" without a head.
        clip: what it sees: `num_frames`, `stride` between them and `size`.
        fps: frames a second that `clip.stride` counts; None where the weights do not know it.
        grid: tokens of a clip along (t, h, w).
        width: of a token and of the features.
        notes: what was taken of the weights, and fitted, in words.
    """

    def __init__(
        self,
        name: str,
        backbone: Backbone,
        params: Mapping[str, Any],
        *,
        pool: str = "mean",
        classifier: Classifier | None = None,
        classes: tuple[str, ...] = (),
        fps: float | None = None,
        notes: tuple[str, ...] = (),
    ):
        """Takes what `load` has read; `params` are the parts of `inference.classifier`."""
        self.name, self.classes, self.fps, self.notes = name, classes, fps, notes
        self.label_kind = "" if classifier is None else classifier.label_kind
        self.clip: ClipConfig = backbone.clip
        self.width: int = backbone.model.width
        size = self.clip.size
        self.grid = backbone.model.grid(self.clip.num_frames, size, size)
        self.backbone, self.classifier, self.pool = backbone, classifier, pool
        self.params = jax.device_put(dict(params))
        self._programs: dict[Any, Callable[[Any, Any], Any]] = {}

    def __repr__(self) -> str:
        clip, rate = self.clip, "" if self.fps is None else f" at {self.fps:g} fps"
        head = (
            f", {counted(len(self.classes), 'class', 'classes')}"
            if self.classifier
            else ", without a head"
        )
        return (
            f"<Model {self.name}: clips of {counted(clip.num_frames, 'frame')} of {clip.size}"
            " pixels,"
            f" {clip.stride} apart{rate}, width {self.width}{head}>"
        )

    @property
    def class_tokens(self) -> int:
        """Tokens before those of the patches: 1 or 0."""
        return int(self.backbone.model.class_token)

    def clips(self, video: str | os.PathLike) -> Iterator[np.ndarray]:
        """The clips of a video file, one for each frame at the model's `fps`, which it ends.

        The k-th ends at second k / fps; near the start the first frame is repeated, as in training.
        The file is decoded once, as they are asked for, and never held whole.

        Raises:
            UserError: it cannot be read, is slower than `fps`, or breaks off (after what was read).
        """
        if self.clip.sampling != "past":
            raise UserError(f"{self.name}: sees whole videos as one clip each; give it such clips")
        if self.fps is None:
            raise UserError(
                f"{self.name}: does not say at how many frames a second it was trained: say it by"
                " load(…, fps=…)"
            )
        return clips_of_video(Path(video), self.clip, self.fps)

    def features(self, clips: Any, *, batch_size: int = BATCH_SIZE) -> np.ndarray:
        """float32 [B, D]: what the head's last layer sees, or without a head the pooled tokens."""
        if self.classifier is not None:
            return self._each("features", self.classifier.features, clips, batch_size)
        return self._each(
            "features",
            lambda params, video: self.backbone.features(params, video, self.pool),
            clips,
            batch_size,
        )

    def tokens(self, clips: Any, *, batch_size: int = BATCH_SIZE) -> np.ndarray:
        """float32 [B, N, D]: the backbone's tokens in (t, h, w) order, a class token first."""
        return self._each("tokens", self._tokens, clips, batch_size)

    def probabilities(self, clips: Any, *, batch_size: int = BATCH_SIZE) -> np.ndarray:
        """float32 [B, C] in the order of `classes`.

        Raises:
            UserError: there is no head.
        """
        if self.classifier is None:
            raise UserError(
                f"{self.name}: is a backbone without a head, which gives features, tokens and"
                " attention; finetune it for probabilities"
            )
        return self._each("probabilities", self.classifier.predict, clips, batch_size)

    def attention(
        self, clips: Any, *, block: int | None = None, batch_size: int = BATCH_SIZE
    ) -> np.ndarray:
        """float32 [B, heads, t, h, w]: which share of its attention each head gives each token.

        What attends is what is pooled: the query of an attentive head, else in the last block the
        class token; where the mean of the tokens is pooled, their mean share. Shares add up to 1,
        but for what a class token gets itself.

        Args:
            block: another block of the backbone, from 0 on or from the end (-1: the last).

        Raises:
            UserError: the backbone is a CNN; there is no such block.
        """
        encoder = self._encoder()
        depth = encoder.transformer.depth
        number = -1 if block is None else block
        if not -depth <= number < depth:
            raise UserError(f"block={block}: the backbone has blocks 0 to {depth - 1}")
        number %= depth
        if block is None and self.classifier is not None and self.classifier.attentive:
            return self._each("pool's attention", self._pool_shares, clips, batch_size)

        def of_block(params: Any, video: jax.Array) -> jax.Array:
            compute, pixels = self.backbone.compute, self.backbone.pixels(video)
            found = block_shares(encoder, compute, params["backbone"], pixels, number)
            return self._pooled(found).reshape(*found.shape[:2], *self.grid)

        return self._each(("attention", number), of_block, clips, batch_size)

    def rollout(self, clips: Any, *, batch_size: int = BATCH_SIZE) -> np.ndarray:
        """float32 [B, t, h, w]: which share of what is pooled comes from each token of the clip.

        Attention rolled out over all blocks (`attention_maps.rollout`), and an attentive head's.

        Raises:
            UserError: the backbone is a CNN.
        """
        encoder = self._encoder()

        def of_all(params: Any, video: jax.Array) -> jax.Array:
            compute, pixels = self.backbone.compute, self.backbone.pixels(video)
            paths = rollout(encoder, compute, params["backbone"], pixels)
            if self.classifier is not None and self.classifier.attentive:
                heads = self.classifier.head.heads
                query = pool_shares(heads, compute, params["pool"], self._tokens(params, video))
                found = jnp.einsum("bn,bnm->bm", query.mean(1), paths)[:, self.class_tokens :]
            else:
                found = self._pooled(paths)
            return found.reshape(-1, *self.grid)

        return self._each("rollout", of_all, clips, batch_size)

    def _encoder(self) -> EncoderConfig:
        """Raises UserError where there is none."""
        encoder = self.backbone.model.encoder
        if encoder is None:
            raise UserError(f"{self.name}: is a CNN, which has no attention")
        return encoder

    def _pooled(self, found: jax.Array) -> jax.Array:
        """Shares [..., N, N] of what is pooled: [..., N] without a class token."""
        if not self.class_tokens:
            return found.mean(-2)
        return found[..., 0, 1:] if self._pools_class() else found[..., 1:, 1:].mean(-2)

    def _pools_class(self) -> bool:
        pool = self.pool if self.classifier is None else self.classifier.head.pool
        return pool == "class"

    def _tokens(self, params: Any, video: jax.Array) -> jax.Array:
        own = {name: params[name] for name in OF_BACKBONE if name in params}
        return self.backbone.tokens(own, self.backbone.pixels(video))

    def _pool_shares(self, params: Any, video: jax.Array) -> jax.Array:
        assert self.classifier is not None
        heads, compute = self.classifier.head.heads, self.backbone.compute
        found = pool_shares(heads, compute, params["pool"], self._tokens(params, video))
        return found[..., self.class_tokens :].reshape(*found.shape[:2], *self.grid)

    def _each(
        self,
        name: Any,
        function: Callable[[Any, jax.Array], jax.Array],
        clips: Any,
        batch_size: int,
    ) -> np.ndarray:
        if batch_size < 1:
            raise UserError(f"batch_size={batch_size}: at least 1 is needed")
        if name not in self._programs:
            self._programs[name] = jax.jit(
                lambda params, video: function(params, video).astype(np.float32)
            )
        program = self._programs[name]
        given, single = as_clips(clips, self.clip)
        if jax.tree.leaves(self.params)[0].device.platform == "cpu":
            batch_size = 1  # as of `one_by_one`
        parts: list[np.ndarray] = []
        for batch in _batches(given, batch_size):
            count = len(batch)
            if parts:  # the last: as large as those before, for which it is compiled
                batch = np.concatenate(
                    [batch, np.zeros_like(batch[:1]).repeat(batch_size - count, 0)]
                )
            parts.append(np.asarray(program(self.params, batch))[:count])
        if not parts:
            raise UserError("no clip was given: one at least is needed")
        found = np.concatenate(parts)
        return found[0] if single else found


def _batches(clips: Iterable[np.ndarray], batch_size: int) -> Iterator[np.ndarray]:
    each = iter(clips)
    while batch := list(itertools.islice(each, batch_size)):
        yield np.stack(batch)
