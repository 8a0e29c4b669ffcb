"""How much of each dataset a run has seen after so many steps."""

import dataclasses
from collections.abc import Mapping

import numpy as np

from surgvista_jax.data.batches.order import order_of, seeds_of
from surgvista_jax.data.batches.stretches import StretchIndex
from surgvista_jax.data.dataset import Dataset


@dataclasses.dataclass(frozen=True)
class Seen:
    """What was seen of one dataset.

    Attributes:
        name: of its folder.
        videos: that it has.
        videos_seen: of which any clip was seen.
        clips: that it has.
        clips_seen: each as often as it was seen.
        share_asked: of all clips that are seen: by its weight, or without weights by its size.
        share_seen: of all clips that were seen.
    """

    name: str
    videos: int
    videos_seen: int
    clips: int
    clips_seen: int
    share_asked: float
    share_seen: float

    @property
    def epochs(self) -> float:
        """How often its clips were seen, in the mean."""
        return self.clips_seen / self.clips


def seen_after(
    samples: int,
    dataset: Dataset,
    stretches: StretchIndex,
    weights: Mapping[str, float],
    seed: int,
) -> list[Seen]:
    """What the first so many samples of a run show, for each of `dataset.parts()`.

    A function of the order alone: however often the run was stopped, and whatever number of
    processes it ran in. It goes through half an epoch at most, some 10 us a sample.

    Args:
        samples: rows of all global batches together: clips, or stretches of several.
        dataset, stretches, weights, seed: as they are for `pretrain_batches`.
    """
    order = order_of(dataset, stretches, weights, seeds_of(seed)[0])
    times = order.came(samples)
    video, holds = stretches.all_of_them()
    clips, seen = np.zeros((2, len(dataset.videos)), np.int64)  # of each video
    np.add.at(clips, video, holds)
    np.add.at(seen, video, holds * times)
    asked = {name: weights[name] for name, _ in dataset.parts()} if weights else {}
    found, first = [], 0
    for name, count in dataset.parts():
        own = slice(first, first + count)
        first += count
        by_size = float(clips[own].sum() / clips.sum())
        found.append(
            Seen(
                name,
                videos=count,
                videos_seen=int((seen[own] > 0).sum()),
                clips=int(clips[own].sum()),
                clips_seen=int(seen[own].sum()),
                share_asked=asked[name] / sum(asked.values()) if asked else by_size,
                share_seen=float(seen[own].sum() / max(seen.sum(), 1)),
            )
        )
    return found
