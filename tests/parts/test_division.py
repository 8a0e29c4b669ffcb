"""The division of videos: all, each once, about alike, and the same on every machine."""

import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.parts.division import divide
from surgvista_jax.parts.option import Part, parse_part


@pytest.mark.parametrize("of", [1, 2, 4, 7, 40])
def test_each_item_has_one_part_and_parts_are_alike(of):
    rng = np.random.default_rng(of)
    for count in (0, 1, of, 30, 3650):
        sizes = [int(size) for size in rng.lognormal(7, 1.5, count)]
        parts = divide(sizes, of)
        assert sorted(item for part in parts for item in part) == list(range(count))
        assert all(part == sorted(part) for part in parts)
        assert all(parts) == (count >= of)
        loads = [sum(max(sizes[item], 1) for item in part) for part in parts]
        for part, load in zip(parts, loads, strict=True):
            smallest = min((sizes[item] for item in part), default=0)
            assert load - max(smallest, 1) <= sum(loads) / of


def test_equal_sizes_go_round_in_their_order():
    assert divide([5] * 7, 3) == [[0, 3, 6], [1, 4], [2, 5]]
    assert divide([0] * 4, 2) == [[0, 2], [1, 3]]
    assert divide([1, 9, 4, 4], 2) == [[1], [0, 2, 3]]


def test_a_part_is_said_as_its_number_and_how_many_there_are():
    assert parse_part("1/4") == Part(1, 4) and str(parse_part("04/4")) == "4/4"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("x", "should be I/N, such as 1/4"),
        ("1", "should be I/N"),
        ("1/4/2", "should be I/N"),
        ("-1/4", "should be I/N"),
        ("1.0/4", "should be I/N"),
        ("٣/٤", "should be I/N"),
        ("0/4", "the number of a part should be from 1 to 4"),
        ("5/4", "the number of a part should be from 1 to 4"),
        ("1/0", "should be of 1 to 9999 parts"),
        ("1/10000", "should be of 1 to 9999 parts"),
    ],
)
def test_what_is_no_part_is_refused(text, said):
    with pytest.raises(UserError, match="^--part") as refused:
        parse_part(text)
    assert said in str(refused.value)
