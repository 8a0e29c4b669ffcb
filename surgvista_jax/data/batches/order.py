"""The order of a run's samples: which one comes at which place, and how often each has come."""

import itertools
import math
import sys
from collections.abc import Mapping, Sequence
from fractions import Fraction

import grain
import numpy as np

from surgvista_jax.data.batches.stretches import StretchIndex
from surgvista_jax.data.dataset import Dataset


class Order:
    """An endless order of samples that belong to parts, a function of the seed alone.

    Without weights each epoch visits every sample once, shuffled anew. With weights each part is
    such an order of its own, and the parts take turns, so that at every place of the run each has
    come as often as its weight asks, but for fewer samples than there are parts. Weights are not
    rounded, as `grain.MapDataset.mix` rounds them.

    It is an endless source of grain's: nothing is stored but where the parts begin.
    """

    def __init__(self, sizes: Sequence[int], weights: Sequence[float] | None, seed: int):
        """Takes the number of samples of each part, which follow one another.

        Args:
            sizes: above 0.
            weights: of each part, finite and above 0: its share of what comes; None: the parts are
                shuffled as one.
            seed: of all shuffling.
        """
        self._num_samples = sum(sizes)
        if weights is None:
            sizes, weights, seeds = [self._num_samples], [1], [seed]
        else:
            seeds = np.random.SeedSequence(seed).generate_state(len(sizes)).tolist()
        ends = list(itertools.accumulate(sizes))
        self._bounds = list(zip([0, *ends[:-1]], ends, strict=True))
        self._streams = [
            grain.MapDataset.range(first, end).shuffle(seed=each).repeat(None)
            for (first, end), each in zip(self._bounds, seeds, strict=True)
        ]
        for stream in self._streams:
            stream[0]  # grain sets up its counters at the first access, not safe in threads
        self._turns = _whole(weights)

    def __len__(self) -> int:
        return sys.maxsize

    def __getitem__(self, place: int) -> int:
        """The number of the sample that comes at a place."""
        before, after = self._counts(place), self._counts(place + 1)
        part = next(i for i, count in enumerate(before) if count < after[i])
        return int(self._streams[part][before[part]])

    def came(self, places: int) -> np.ndarray:
        """How often each sample is at one of the first so many places, int64 [samples]."""
        times = np.zeros(self._num_samples, np.int64)
        for (first, end), stream, count in zip(
            self._bounds, self._streams, self._counts(places), strict=True
        ):
            epochs, rest = divmod(count, end - first)
            times[first:end] += epochs
            if 2 * rest <= end - first:
                some, change = range(count - rest, count), 1
            else:  # fewer of this epoch are still to come
                times[first:end] += 1
                some, change = range(count, count - rest + end - first), -1
            times[np.fromiter((stream[i] for i in some), np.int64)] += change
        return times

    def _counts(self, places: int) -> list[int]:
        """How many of the first so many places are of each part."""
        counts, rest = [], sum(self._turns)
        for turns in self._turns:
            later = places * (rest - turns) // rest  # of all parts behind this one
            counts.append(places - later)
            places, rest = later, rest - turns
        return counts


def order_of(
    dataset: Dataset, stretches: StretchIndex, weights: Mapping[str, float], seed: int
) -> Order:
    """The order of the stretches of a dataset.

    Args:
        dataset: whose videos they are of.
        stretches: of them.
        weights: of each of `dataset.parts()` by its name; empty: none.
        seed: of the order.
    """
    counts = np.cumsum([0, *(count for _, count in dataset.parts())])
    firsts = [stretches.first(int(video)) for video in counts]
    sizes = [end - first for first, end in itertools.pairwise(firsts)]
    return Order(sizes, [weights[name] for name, _ in dataset.parts()] if weights else None, seed)


def seeds_of(seed: int) -> tuple[int, int]:
    """The seeds of the order and of what is random about each sample, of the seed of a run."""
    order, sample = np.random.SeedSequence(seed).generate_state(2).tolist()
    return order, sample


def _whole(weights: Sequence[float]) -> list[int]:
    """Whole numbers in exactly the proportions of some weights."""
    exact = [Fraction(weight) for weight in weights]
    scale = math.lcm(*(weight.denominator for weight in exact))
    whole = [int(weight * scale) for weight in exact]
    return [each // math.gcd(*whole) for each in whole]
