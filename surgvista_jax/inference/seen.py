"""What a model was trained to see: its clips, and the rate of their videos."""

from typing import NamedTuple

from surgvista_jax.config import build
from surgvista_jax.counted import counted
from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.weights.place import locate
from surgvista_jax.weights.provenance import facts_at


class Seen(NamedTuple):
    """Clips that a model was trained on.

    Attributes:
        clip: how many frames, how far apart, how large.
        fps: frames a second of its videos; None where that is not known.
    """

    clip: ClipConfig
    fps: float | None

    def __str__(self) -> str:
        clip = self.clip
        apart = "spread over the video" if clip.sampling == "uniform" else f"{clip.stride} apart"
        rate = "" if self.fps is None else f" at {self.fps:g} fps"
        return f"clips of {counted(clip.num_frames, 'frame')} of {clip.size} pixels, {apart}{rate}"

    def stride_at(self, fps: float) -> int:
        """The stride that comes nearest to the same seconds between frames at another rate."""
        if self.fps is None or self.clip.sampling == "uniform":
            return self.clip.stride
        return max(1, round(self.clip.stride * fps / self.fps))


def seen_by(spec: str) -> Seen | None:
    """What the weights of a file or a folder were trained on; None where neither tells it.

    Args:
        spec: `[NAME:]PATH[#KEY]`.

    Raises:
        UserError: there is nothing to be read.
    """
    place = locate(spec)
    told = facts_at(place)
    if "clip" not in told:
        return None
    return Seen(build(ClipConfig, told["clip"], f"{place.path}: clip"), told.get("fps"))
