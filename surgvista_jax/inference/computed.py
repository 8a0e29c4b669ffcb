"""What is computed otherwise than by some earlier version, told where its run or folder goes on.

One list for all who ask: a run tells the sentences, features are of another folder by the names.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from surgvista_jax.data.dataset import Dataset
from surgvista_jax.data.storage.open import reads_video_files
from surgvista_jax.models.layers import ComputeConfig
from surgvista_jax.models.video_vit import EncoderConfig

# What earlier versions did whatever the weights; see `TransformerConfig` and `EncoderConfig`.
_EPSILON = 1e-6
_RESIZE = "bicubic"
VIDEO_FILES = "video files read by PyAV"  # the name of the change of a dataset


class Change(NamedTuple):
    """One thing.

    Attributes:
        name: short; what it is known by in files, so that it stays as it is.
        sentence: what is done now.
    """

    name: str
    sentence: str


def of_encoder(name: str, encoder: EncoderConfig | None) -> Iterator[Change]:
    """What an earlier version may have computed otherwise of a ViT.

    Args:
        name: what it is, such as "teacher".
        encoder: the ViT; None for another model.
    """
    if encoder is None:
        return
    epsilon = encoder.transformer.norm_epsilon
    if epsilon != _EPSILON:
        yield Change(
            f"epsilon {epsilon:g}", f"the {name}'s layer norms have an epsilon of {epsilon:g}"
        )
    if encoder.resize != _RESIZE:
        yield Change(
            f"positions by {encoder.resize}",
            f"the {name}'s learned positions are interpolated as its own program does",
        )
    if encoder.positions == "stretched":
        yield Change(
            "stretched positions",
            f"the {name}'s positions are stretched from a table of 8x14x14 tokens",
        )


def of_compute(compute: ComputeConfig) -> Iterator[Change]:
    """The same of a type to compute in."""
    if compute.dtype == "bfloat16":
        yield Change("exact GELU", "the GELU of bfloat16 is exact to its last digit")


def of_data(dataset: Dataset) -> Iterator[Change]:
    """The same of a dataset."""
    if reads_video_files(dataset.places()):
        yield Change(
            VIDEO_FILES,
            "video files are read by PyAV, whose pictures differ a little",
        )


def sentences(changes: Iterable[Change]) -> list[str]:
    """All of them, for the meta of a checkpoint."""
    return [change.sentence for change in changes]


def change_names(changes: Iterable[Change]) -> list[str]:
    """All of them, for what identifies files."""
    return [change.name for change in changes]
