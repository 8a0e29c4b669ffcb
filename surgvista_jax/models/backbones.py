"""Backbones: clips into tokens, by one call for video models, image models and frame CNNs."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from surgvista_jax.checks import check_one_of
from surgvista_jax.models import efficientvit, resnet
from surgvista_jax.models.layers import ComputeConfig
from surgvista_jax.models.patches import IMAGENET_MEAN, IMAGENET_STD, patchify, token_grid
from surgvista_jax.models.video_vit import LEARNED, EncoderConfig, VideoEncoder

VIT = "vit"
# Name -> module and channels of its feature map.
CNNS = {
    "resnet50": (resnet.ResNet50, resnet.WIDTH),
    "efficientvit_m5": (efficientvit.EfficientViTM5, efficientvit.WIDTH),
}
ARCHITECTURES = (VIT, *CNNS)
PIXELS = ("imagenet", "bgr")


@dataclasses.dataclass(frozen=True)
class BackboneConfig:
    """What decides a backbone's variables and what it computes with them.

    Attributes:
        architecture: "vit", or a frame CNN: "resnet50" or "efficientvit_m5".
        encoder: the ViT's sizes; None for a CNN, whose name implies its sizes.
        pixels: what a CNN was trained on: "imagenet", normalised RGB, or "bgr", values in [0, 1]
            with blue first (GSViT). A backbone is given normalised RGB in both cases.
    """

    architecture: str = VIT
    encoder: EncoderConfig | None = None
    pixels: str = "imagenet"

    def __post_init__(self) -> None:
        check_one_of(self, ARCHITECTURES, "architecture")
        if self.architecture == VIT and self.encoder is None:
            raise ValueError(f"architecture={VIT!r}: needs an encoder")
        if self.architecture != VIT and self.encoder is not None:
            raise ValueError(f"architecture={self.architecture!r}: takes no encoder, it is a CNN")
        check_one_of(self, PIXELS, "pixels")
        if self.architecture == VIT and self.pixels != "imagenet":
            raise ValueError(f"pixels={self.pixels!r}: is for CNNs; a ViT takes 'imagenet'")

    @property
    def width(self) -> int:
        """D, the width of a token."""
        if self.encoder is not None:
            return self.encoder.transformer.width
        return CNNS[self.architecture][1]

    @property
    def class_token(self) -> bool:
        """Whether the first token is a class token."""
        return self.encoder is not None and self.encoder.class_token

    @property
    def sees_single_frames(self) -> bool:
        """Whether its tokens are single frames', or patches of such."""
        return self.encoder is None or self.encoder.tubelet == 1

    @property
    def knows_no_time(self) -> bool:
        """Whether it is a model of single images: its positions, if any, are one frame's."""
        return self.sees_single_frames and (
            self.encoder is None or self.encoder.positions == LEARNED
        )

    @property
    def last_epsilon(self) -> float:
        """Epsilon of a layer norm behind it, as its program has it."""
        return 1e-6 if self.encoder is None else self.encoder.transformer.last_epsilon

    @property
    def ends_with_norm(self) -> bool:
        """Whether its tokens want no further norm: a ViT's own, or those inside a CNN, are last."""
        return self.encoder is None or self.encoder.norm

    def grid(self, num_frames: int, height: int, width: int) -> tuple[int, int, int]:
        """Tokens along (t, h, w), class token not counted; a CNN gives one token a frame.

        Raises ValueError where the clip does not divide into tubelets.
        """
        if self.encoder is not None:
            return token_grid(num_frames, height, width, self.encoder.tubelet, self.encoder.patch)
        return num_frames, 1, 1


class VitBackbone(nn.Module):
    """A ViT over all tubelets of a clip. Its variables are the encoder's own, one level up."""

    config: EncoderConfig
    compute: ComputeConfig
    grid: tuple[int, int, int]

    def setup(self) -> None:
        self.encoder = VideoEncoder(self.config, self.compute, self.grid)
        nn.share_scope(self, self.encoder)

    def __call__(self, video: jax.Array, train: bool) -> jax.Array:
        """video: normalised [B, T, H, W, 3] -> [B, N, D], or [B, 1 + N, D] with a class token."""
        patches = patchify(video, self.config.tubelet, self.config.patch)
        return self.encoder(patches, None, train)


class FrameBackbone(nn.Module):
    """A CNN over single frames. Its variables are the CNN's own, one level up.

    Batch norm always uses its stored statistics, in finetuning too: the frames of a clip resemble
    each other so much, and batches of clips are so small, that statistics of the batch would
    describe a few videos instead of the data; and a frame's features would depend on which clips
    share its batch.
    """

    config: BackboneConfig
    compute: ComputeConfig

    def setup(self) -> None:
        module, _ = CNNS[self.config.architecture]
        self.cnn = module(jnp.dtype(self.compute.dtype))
        nn.share_scope(self, self.cnn)

    def __call__(self, video: jax.Array, train: bool) -> jax.Array:
        """video: normalised [B, T, H, W, 3] -> float32 [B, T, D], means over the feature maps.

        `train` changes nothing: there is no drop path, and batch norm is frozen.
        """
        frames = video.reshape(-1, *video.shape[2:])
        if self.config.pixels == "bgr":
            frames = unit_bgr(frames)
        features = self.cnn(frames.astype(self.compute.dtype), train=False)
        means = features.mean(axis=(1, 2), dtype=jnp.float32)
        return means.reshape(*video.shape[:2], self.config.width)


def unit_bgr(pixels: jax.Array) -> jax.Array:
    """Undoes `patches.normalise`: RGB float [..., 3] -> float32 values in [0, 1], blue first."""
    ones = (1,) * (pixels.ndim - 1)
    mean, std = (x.reshape(*ones, 3) for x in (IMAGENET_MEAN, IMAGENET_STD))
    return (pixels.astype(jnp.float32) * std + mean)[..., ::-1]


def as_parts(variables: Mapping[str, Any]) -> dict[str, Any]:
    """A backbone's {"params", "batch_stats"?} as parts of a whole model's parameters.

    They are {"backbone", "batch_stats"?} there; collections that are empty are left out.
    """
    parts = {"backbone": variables["params"], "batch_stats": variables.get("batch_stats")}
    return {name: part for name, part in parts.items() if part}


def variables_of(parts: Mapping[str, Any]) -> dict[str, Any]:
    """The other way round: what a backbone is applied with; other parts are left out."""
    names = {"params": "backbone", "batch_stats": "batch_stats"}
    return {name: parts[part] for name, part in names.items() if part in parts}


def make_backbone(
    config: BackboneConfig, compute: ComputeConfig, grid: tuple[int, int, int]
) -> nn.Module:
    """The module whose call turns `video` [B, T, H, W, 3] and `train` into tokens [B, N, D].

    `video` holds normalised pixels (`patches.normalise`) in any float type; a class token, where
    there is one, comes first. The variables carry no name of the architecture: for a ViT "params"
    is the tree of `VideoEncoder`; a CNN has "batch_stats" besides, which no call changes.

    Args:
        config: what it is made of.
        compute: how it is computed; of a CNN it says the dtype alone.
        grid: `config.grid` of the clips.
    """
    if config.encoder is not None:
        return VitBackbone(config.encoder, compute, grid)
    return FrameBackbone(config, compute)
