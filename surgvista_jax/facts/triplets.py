"""Which instrument, verb and target does each triplet class stand for (CholecT50, ProstaTD)?

Facts of the datasets' label files. The pairs (iv, it) are numbered in ascending order of their two
members, as the official evaluation does, so only the three members are written down here.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class TripletTable:
    """The triplet classes of one dataset; rows int [classes, 3]: instrument, verb, target."""

    name: str
    instruments: tuple[str, ...]
    verbs: tuple[str, ...]
    targets: tuple[str, ...]
    rows: np.ndarray
    null_triplets: tuple[int, ...]  # an instrument without an action

    def component_ids(self, component: str) -> np.ndarray:
        """Each triplet's class in a component ("i", "v", "t", "iv", "it", "ivt"), int [classes]."""
        columns = {"i": [0], "v": [1], "t": [2], "iv": [0, 1], "it": [0, 2]}
        if component == "ivt":
            return np.arange(len(self.rows))
        return np.unique(self.rows[:, columns[component]], axis=0, return_inverse=True)[1].ravel()

    def num_classes(self, component: str) -> int:
        return int(self.component_ids(component).max()) + 1

    def class_names(self, component: str) -> tuple[str, ...]:
        """Names in the order of component_ids, such as "hook, dissect, gallbladder"."""
        words = (self.instruments, self.verbs, self.targets)
        columns = {"i": [0], "v": [1], "t": [2], "iv": [0, 1], "it": [0, 2], "ivt": [0, 1, 2]}
        ids = self.component_ids(component)
        first = [int(np.flatnonzero(ids == k)[0]) for k in range(ids.max() + 1)]
        return tuple(
            ", ".join(words[column][self.rows[row, column]] for column in columns[component])
            for row in first
        )


def _rows(blocks: list) -> np.ndarray:
    """Triplet rows from (instrument, {verb: targets}) blocks, in class order."""
    return np.array(
        [
            (instrument, verb, target)
            for instrument, verbs in blocks
            for verb, targets in verbs.items()
            for target in targets
        ]
    )


CHOLECT50 = TripletTable(
    name="CholecT50",
    instruments=("grasper", "bipolar", "hook", "scissors", "clipper", "irrigator"),
    verbs=(
        "grasp",
        "retract",
        "dissect",
        "coagulate",
        "clip",
        "cut",
        "aspirate",
        "irrigate",
        "pack",
        "null_verb",
    ),
    targets=(
        "gallbladder",
        "cystic_plate",
        "cystic_duct",
        "cystic_artery",
        "cystic_pedicle",
        "blood_vessel",
        "fluid",
        "abdominal_wall_cavity",
        "liver",
        "adhesion",
        "omentum",
        "peritoneum",
        "gut",
        "specimen_bag",
        "null_target",
    ),
    rows=_rows(
        [
            (
                0,
                {
                    2: [1, 0, 10],
                    0: [3, 2, 4, 1, 0, 12, 8, 10, 11, 13],
                    8: [0],
                    1: [2, 4, 1, 0, 12, 8, 10, 11],
                },
            ),
            (
                1,
                {
                    3: [7, 5, 3, 2, 4, 1, 0, 8, 10, 11],
                    2: [9, 3, 2, 1, 0, 10],
                    0: [1, 8, 13],
                    1: [2, 4, 0, 8, 10],
                },
            ),
            (
                2,
                {
                    3: [5, 3, 2, 4, 1, 0, 8, 10],
                    5: [5, 11],
                    2: [5, 3, 2, 1, 0, 10, 11],
                    1: [0, 8],
                },
            ),
            (3, {3: [10], 5: [9, 5, 3, 2, 1, 8, 10, 11], 2: [1, 0, 10]}),
            (4, {4: [5, 3, 2, 4, 1]}),
            (5, {6: [6], 2: [2, 4, 1, 0, 10], 7: [7, 4, 8], 1: [0, 8, 10]}),
            *((instrument, {9: [14]}) for instrument in range(6)),
        ]
    ),
    null_triplets=tuple(range(94, 100)),
)

# The names of ProstaTD's instruments, verbs and targets are not part of its class table; they are
# numbered here.
PROSTATD = TripletTable(
    name="ProstaTD",
    instruments=tuple(f"instrument {k}" for k in range(7)),
    verbs=(*(f"verb {k}" for k in range(9)), "null verb"),
    targets=(*(f"target {k}" for k in range(9)), "null target"),
    rows=_rows(
        [
            (
                0,
                {
                    0: range(7),
                    1: [0, 2, 3, 4],
                    2: [0, 1, 2, 3, 4, 7],
                    3: [0, 2, 3, 4],
                    9: [9],
                },
            ),
            (
                1,
                {
                    0: [0, 1, 2, 3, 4, 6],
                    1: [0, 2, 3, 4],
                    3: [2, 3, 4],
                    4: range(1, 8),
                    6: [0, 3, 4],
                    9: [9],
                },
            ),
            (2, {0: [0, 1, 2, 3, 4, 6], 7: [8], 9: [9]}),
            (3, {0: [0, 3, 4], 4: [0, 1, 4, 5, 6, 7], 6: [0, 3, 4], 9: [9]}),
            (4, {0: range(5), 4: range(1, 8), 9: [9]}),
            (5, {8: [0, 2, 3, 4, 6], 9: [9]}),
            (6, {5: [3, 4], 9: [9]}),
        ]
    ),
    null_triplets=(21, 45, 53, 66, 79, 85, 88),
)

TABLES = {"cholect50": CHOLECT50, "prostatd": PROSTATD}
