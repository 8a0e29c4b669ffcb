"""Do parts show the classes that they can show, at sizes near those that were asked for?"""

import itertools

import numpy as np

from surgvista_jax.data.batches.class_spread import as_array, lacking_in, spread


def lacking(holds, part, parts) -> int:
    return int(lacking_in(holds, np.array(part), parts).sum())


def allowed(part, drawn, parts) -> bool:
    """The stated bounds: none doubled, halved, or larger than what is trained on."""
    size, before = (np.bincount(each, minlength=parts) for each in (part, drawn))
    small = size[0] < min(before[0], size[1:].max())
    return bool((size <= 2 * before).all() and (2 * size >= before).all() and not small)


def test_of_a_few_draws_one_ends_with_the_least_that_is_possible():
    rng = np.random.default_rng(0)
    for _ in range(25):
        groups, classes, parts = (int(rng.integers(*span)) for span in ((4, 8), (1, 6), (2, 4)))
        holds = rng.random((groups, classes)) < rng.uniform(0.15, 0.6)
        held = max(1, round(0.25 * groups))
        cut = np.repeat(np.arange(parts), [groups - held * (parts - 1), *[held] * (parts - 1)])
        found = []
        for _ in range(5):
            drawn = rng.permutation(cut)
            part, lacks = spread(holds, [1] * groups, drawn, parts)
            assert allowed(part, drawn, parts) and lacks == lacking(holds, part, parts)
            assert lacks <= lacking(holds, drawn, parts)
            found.append(lacks)
        every = (
            p for p in itertools.product(range(parts), repeat=groups) if allowed(p, cut, parts)
        )
        assert min(found) == min(lacking(holds, part, parts) for part in every)


def test_nothing_moves_where_nothing_lacks_and_else_as_few_as_can_be():
    holds = as_array([{0}, {0, 1}, {0}, {0, 1}, {0}, {0, 1}, {0}, {0}])
    drawn = [0, 1, 2, 0, 0, 2, 0, 0]
    assert spread(holds, [1] * 8, drawn, 3) == (drawn, 0)
    part, lacks = spread(holds, [1] * 8, [0, 0, 2, 0, 0, 2, 1, 0], 3)
    assert lacks == 0 and np.bincount(part).tolist() == [5, 1, 2]
    assert sum(now != was for now, was in zip(part, [0, 0, 2, 0, 0, 2, 1, 0], strict=True)) == 2


def test_a_part_that_is_too_small_for_all_classes_grows_and_one_with_many_videos_is_spared():
    holds = as_array([{k % 5} for k in range(15)])
    part, lacks = spread(holds, [1] * 15, [0] * 9 + [1] * 3 + [2] * 3, 3)
    assert lacks == 0 and np.bincount(part).tolist() == [5, 5, 5]
    holds = as_array([{0, 1}, {1}, {0}, {0}, {0}])  # either of the first two could go
    assert spread(holds, [9, 1, 1, 1, 1], [0, 0, 0, 1, 1], 2)[0] == [0, 1, 0, 0, 1]
