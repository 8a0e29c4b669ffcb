"""What is computed otherwise than by some earlier version, to be told where its run goes on."""

from collections.abc import Iterator

from surgvista_jax.data.dataset import Dataset
from surgvista_jax.data.storage.open import reads_video_files
from surgvista_jax.models.layers import ComputeConfig
from surgvista_jax.models.video_vit import EncoderConfig

# What earlier versions did whatever the weights; see `TransformerConfig` and `EncoderConfig`.
_EPSILON = 1e-6
_RESIZE = "bicubic"


def of_encoder(name: str, encoder: EncoderConfig | None) -> Iterator[str]:
    """What an earlier version may have computed otherwise of a ViT, a line each.

    Args:
        name: what it is, such as "teacher".
        encoder: the ViT; None for another model.
    """
    if encoder is None:
        return
    if encoder.transformer.norm_epsilon != _EPSILON:
        yield f"the {name}'s layer norms have an epsilon of {encoder.transformer.norm_epsilon:g}"
    if encoder.resize != _RESIZE:
        yield f"the {name}'s learned positions are interpolated as its own program does"
    if encoder.positions == "stretched":
        yield f"the {name}'s positions are stretched from a table of 8x14x14 tokens"


def of_compute(compute: ComputeConfig) -> Iterator[str]:
    """The same of a type to compute in."""
    if compute.dtype == "bfloat16":
        yield "the GELU of bfloat16 is exact to its last digit"


def of_data(dataset: Dataset) -> Iterator[str]:
    """The same of what is trained on."""
    if reads_video_files(dataset.places()):
        yield "video files are read by PyAV, whose pictures differ a little"
