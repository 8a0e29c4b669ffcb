"""Published divisions of datasets, and how many frames the parts have.

Videos go by their official numbers. Names are those of the splits in dataset.json: a scheme may
stand in front, as in `rdv/test`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """The videos of one split.

    Attributes:
        numbers: of the videos, in order.
        frames: that they have together, one a second, where a number is published.
    """

    numbers: tuple[int, ...]
    frames: int | None = None


def _part(numbers: Iterable[int], frames: int | None = None) -> Part:
    return Part(tuple(numbers), frames)


# The authors of SurgVISTA test without these and give no reason.
_LEFT_OUT = (73, 77, 78, 79, 80)
CHOLEC80 = {
    "train": _part(range(1, 41), 86_344),
    "test": _part(range(41, 81), 98_234),
    "authors/train": _part(range(1, 41)),
    "authors/test": _part((k for k in range(41, 81) if k not in _LEFT_OUT), 88_494),
    "32-8-40/train": _part(range(1, 33)),
    "32-8-40/val": _part(range(33, 41)),
    "32-8-40/test": _part(range(41, 81)),
}
CHOLEC80_LAST_32 = _part(range(49, 81))  # tested by those who validate on 41 to 48

# Its test videos numbered on after those of training.
M2CAI16 = {"train": _part(range(1, 28), 67_578), "test": _part(range(28, 42))}
M2CAI16_TOOL = {"train": _part(range(1, 11)), "test": _part(range(11, 16), 12_541)}

AUTOLAPARO = {
    "train": _part(range(1, 11), 40_211),
    "val": _part(range(11, 15)),
    "test": _part(range(15, 22)),
}

# Each fold tests once, in the order of arXiv:2204.05235 and of the data loaders of
# CAMMA-public/cholect50 and CAMMA-public/rendezvous. CholecT45 lacks the last video of each.
_FOLDS = (
    (79, 2, 51, 6, 25, 14, 66, 23, 50, 111),
    (80, 32, 5, 15, 40, 47, 26, 48, 70, 96),
    (31, 57, 36, 18, 52, 68, 10, 8, 73, 103),
    (42, 29, 60, 27, 65, 75, 22, 49, 12, 110),
    (78, 43, 62, 35, 74, 1, 56, 4, 13, 92),
)


def _folds(folds: Sequence[tuple[int, ...]]) -> dict[str, Part]:
    """Of the folds that do not test, strung together, the last five videos validate."""
    made = {}
    for number, test in enumerate(folds, start=1):
        others = [video for fold in folds if fold is not test for video in fold]
        made[f"fold{number}/train"] = _part(others[:-5])
        made[f"fold{number}/val"] = _part(others[-5:])
        made[f"fold{number}/test"] = _part(test)
    return made


def _cholect50() -> dict[str, Part]:
    """The challenge's splits, those of Rendezvous, and the folds."""
    held_out = {
        "": ((5, 18, 36, 65, 74), (92, 96, 103, 110, 111)),
        "rdv/": ((8, 12, 29, 50, 78), (6, 51, 10, 73, 14, 74, 32, 80, 42, 111)),
    }
    # In the order of their names, in which VID103 stands before VID12.
    videos = sorted((number for fold in _FOLDS for number in fold), key="{:02d}".format)
    made = {}
    for scheme, (val, test) in held_out.items():
        made[f"{scheme}train"] = _part(k for k in videos if k not in (*val, *test))
        made |= {f"{scheme}val": _part(val), f"{scheme}test": _part(test)}
    return made | _folds(_FOLDS)


def _cholect45() -> dict[str, Part]:
    """The folds, of which the first are the usual splits too."""
    made = _folds([fold[:9] for fold in _FOLDS])
    return {split: made[f"fold1/{split}"] for split in ("train", "val", "test")} | made


PMLR50 = {
    "train": _part((*range(1, 34), 49, 50)),
    "val": _part((*range(34, 38), 48)),
    "test": _part(range(38, 48)),
}

# The division of Cholec80-CVS' authors, as their program draws it up.
_COLENET = {
    "val": (1, 2, 10, 16, 17, 28, 32, 46, 47, 57, 59, 63, 65, 67, 70),
    "test": (5, 6, 7, 9, 14, 22, 24, 26, 29, 33, 35, 39, 53, 55, 61),
}
CHOLEC80_CVS = {
    "train": _part(range(1, 41)),
    "test": _part(range(41, 81)),
    "colenet/train": _part(
        k for k in range(1, 81) if all(k not in part for part in _COLENET.values())
    ),
    **{f"colenet/{split}": _part(numbers) for split, numbers in _COLENET.items()},
}

# As the challenge suggests; the eight videos that it tests are not public.
_PITVIS_VAL = (1, 12, 21, 24, 25)
PITVIS = {
    "train": _part(k for k in range(1, 26) if k not in _PITVIS_VAL),
    "val": _part(_PITVIS_VAL, 30_896),
}
PITVIS_UNLABELLED = 19  # one of those that train is public without labels

# Two folds; the first gives the usual splits too.
_PSI_AVA = ((1, 4, 14, 15), (2, 3, 7, 21))
PSI_AVA = {
    f"{scheme}{split}": _part(_PSI_AVA[half])
    for scheme, first in (("", 0), ("fold1/", 0), ("fold2/", 1))
    for split, half in (("train", first), ("val", 1 - first))
}
# The nine videos that the challenge tests are not public.
HEICHOLE = {"train": _part(range(1, 25), 55_139)}

CHOLECT50 = _cholect50()
CHOLECT45 = _cholect45()
