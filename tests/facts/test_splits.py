"""Are the published divisions those that their authors publish?"""

import pytest

from surgvista_jax.facts import splits
from surgvista_jax.facts.splits import CHOLECT45, CHOLECT50

# As the data loaders of CAMMA-public/cholect50 and CAMMA-public/rendezvous write them.
TESTED_BY_FOLD = {
    1: (79, 2, 51, 6, 25, 14, 66, 23, 50, 111),
    2: (80, 32, 5, 15, 40, 47, 26, 48, 70, 96),
    3: (31, 57, 36, 18, 52, 68, 10, 8, 73, 103),
    4: (42, 29, 60, 27, 65, 75, 22, 49, 12, 110),
    5: (78, 43, 62, 35, 74, 1, 56, 4, 13, 92),
}


def test_each_fold_of_cholect50_tests_the_videos_that_its_authors_name():
    for fold, videos in TESTED_BY_FOLD.items():
        assert CHOLECT50[f"fold{fold}/test"].numbers == videos


def test_cholect45_is_cholect50_without_the_last_video_of_each_fold():
    for fold, videos in TESTED_BY_FOLD.items():
        assert CHOLECT45[f"fold{fold}/test"].numbers == videos[:-1]
    assert CHOLECT45["test"] == CHOLECT45["fold1/test"]


def test_the_last_five_videos_of_the_other_folds_validate():
    """Of folds 1 to 4 where the fifth tests, strung together in their order; else of the fifth."""
    assert CHOLECT50["fold1/val"].numbers == (1, 56, 4, 13, 92)
    assert CHOLECT50["fold5/val"].numbers == (75, 22, 49, 12, 110)
    assert CHOLECT45["fold1/val"].numbers == (74, 1, 56, 4, 13)
    assert CHOLECT45["fold5/val"].numbers == (65, 75, 22, 49, 12)


@pytest.mark.parametrize(
    ("parts", "videos"),
    [
        (splits.CHOLEC80, range(1, 81)),
        (splits.CHOLEC80_CVS, range(1, 81)),
        (splits.M2CAI16, range(1, 42)),
        (splits.M2CAI16_TOOL, range(1, 16)),
        (splits.AUTOLAPARO, range(1, 22)),
        (splits.PMLR50, range(1, 51)),
        (splits.PITVIS, range(1, 26)),
        (splits.HEICHOLE, range(1, 25)),
        (splits.PSI_AVA, (1, 2, 3, 4, 7, 14, 15, 21)),
    ],
)
def test_a_scheme_divides_all_videos_and_none_twice(parts, videos):
    """But for the five that SurgVISTA leaves out of Cholec80's test."""
    schemes: dict[str, list[int]] = {}
    for name, part in parts.items():
        schemes.setdefault(name.rpartition("/")[0], []).extend(part.numbers)
    for scheme, numbers in schemes.items():
        left_out = {73, 77, 78, 79, 80} if scheme == "authors" else set()
        assert sorted(numbers) == sorted(set(videos) - left_out)


def test_sizes_are_those_published():
    sizes = {split: len(part.numbers) for split, part in splits.CHOLEC80_CVS.items()}
    assert [sizes[f"colenet/{split}"] for split in ("train", "val", "test")] == [50, 15, 15]
    assert [len(part.numbers) for part in splits.PMLR50.values()] == [35, 5, 10]
    assert [len(part.numbers) for part in splits.PITVIS.values()] == [20, 5]
