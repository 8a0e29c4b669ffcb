"""Does each part of a mixture come as often as its weight asks, and each sample of it in turn?"""

import itertools
import pickle

import grain
import numpy as np
import pytest

from surgvista_jax.data.batches.order import Order

SIZES = [1000, 3000, 500]  # grain's shuffling of a few samples takes milliseconds for each
SMALL = [40, 150, 60]


def part_of(sample: int, sizes: list[int]) -> int:
    return int(np.searchsorted(np.cumsum(sizes), sample, side="right"))


@pytest.mark.parametrize("weights", [[1, 1, 1], [0.3, 0.6, 0.1], [1, 1e-4, 7], [1, 1.009, 1]])
def test_every_beginning_has_the_shares_of_the_weights(weights):
    order = Order(SIZES, weights, 5)
    counts = np.zeros(3)
    for place in range(1500):
        counts[part_of(order[place], SIZES)] += 1
        asked = (place + 1) * np.array(weights) / sum(weights)
        assert np.abs(counts - asked).max() < len(SIZES)


def test_weights_are_not_rounded():
    """Grain's own mix takes 1.009 for 1, whose share is 500 of a million more."""
    order = Order([1000, 1000], [1.0, 1.009], 5)
    times = order.came(1_000_000)
    assert abs(times[1000:].sum() - 1_000_000 * 1.009 / 2.009) < 2


def test_each_part_visits_all_of_its_samples_before_it_repeats_one():
    order = Order(SMALL, [3, 9, 4], 5)
    of_part = [[], [], []]
    for place in range(600):
        sample = order[place]
        of_part[part_of(sample, SMALL)].append(sample)
    first = 0
    for size, samples in zip(SMALL, of_part, strict=True):
        epochs = [samples[at : at + size] for at in range(0, len(samples) - size + 1, size)]
        assert len(epochs) >= 2
        assert all(sorted(epoch) == list(range(first, first + size)) for epoch in epochs)
        assert epochs[0] != epochs[1]
        first += size


def test_without_weights_it_is_the_order_that_earlier_runs_had():
    earlier = grain.MapDataset.range(sum(SMALL)).shuffle(seed=7).repeat(None)
    order = Order(SMALL, None, 7)
    assert [order[place] for place in range(300)] == [earlier[place] for place in range(300)]


@pytest.mark.parametrize("weights", [None, [0.3, 0.6, 0.1]])
def test_how_often_each_has_come_is_known_without_going_there(weights):
    order = Order(SMALL, weights, 5)
    came = [order[place] for place in range(600)]
    for places in (0, 1, 4, 100, 250, 400, 600):
        expected = np.bincount(came[:places], minlength=sum(SMALL))
        np.testing.assert_array_equal(order.came(places), expected)


def test_a_worker_has_the_same_order_and_the_seed_decides_it():
    order = Order(SIZES, [1, 2, 3], 5)
    sent = pickle.loads(pickle.dumps(order))
    other = Order(SIZES, [1, 2, 3], 6)
    places = list(itertools.chain(range(200), range(10**12, 10**12 + 50)))
    assert [sent[place] for place in places] == [order[place] for place in places]
    assert [other[place] for place in places] != [order[place] for place in places]
