"""The instrument, verb and target that each triplet class stands for (CholecT50, ProstaTD).

CholecT50's table is that of `maps.txt` of CAMMA-public/rendezvous, by which ivtmetrics takes
triplets apart, and of the dataset's own label_mapping.txt. ProstaTD's is told by SurgVISTA alone;
its numbers of instruments, verbs, targets and triplets are those of SmartHealthX/ProstaTD.

The pairs (iv, it) are numbered in ascending order of their two members, as the official evaluation
does, so only the three members are written down here.

A triplet is spelled in two ways: `hook,dissect,gallbladder` in dataset.json, as in CholecT50's own
files (`TripletTable.names`), and `hook, dissect, gallbladder` in reports (`class_names`). Where
predictions are read the blanks do not count.
"""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class TripletTable:
    """The triplet classes of one dataset, in their order.

    Attributes:
        instruments, verbs, targets: names of the components.
        rows: int [classes, 3], ids of instrument, verb and target.
        null_verb: of the triplets that stand for an instrument which does nothing.
    """

    name: str
    instruments: tuple[str, ...]
    verbs: tuple[str, ...]
    targets: tuple[str, ...]
    rows: np.ndarray
    null_verb: int

    @property
    def null_triplets(self) -> tuple[int, ...]:
        """Ids of the triplets of an instrument that does nothing."""
        return tuple(np.flatnonzero(self.rows[:, 1] == self.null_verb).tolist())

    def names(self) -> tuple[str, ...]:
        """`instrument,verb,target` of each triplet, as dataset.json spells it."""
        return tuple(name.replace(", ", ",") for name in self.class_names("ivt"))

    def component_ids(self, component: str) -> np.ndarray:
        """Each triplet's class in a component ("i", "v", "t", "iv", "it", "ivt"), int [classes]."""
        columns = {"i": [0], "v": [1], "t": [2], "iv": [0, 1], "it": [0, 2]}
        if component == "ivt":
            return np.arange(len(self.rows))
        return np.unique(self.rows[:, columns[component]], axis=0, return_inverse=True)[1].ravel()

    def num_classes(self, component: str) -> int:
        return int(self.component_ids(component).max()) + 1

    def class_names(self, component: str) -> tuple[str, ...]:
        """Names in the order of component_ids, as reports spell them."""
        words = (self.instruments, self.verbs, self.targets)
        columns = {"i": [0], "v": [1], "t": [2], "iv": [0, 1], "it": [0, 2], "ivt": [0, 1, 2]}
        ids = self.component_ids(component)
        first = [int(np.flatnonzero(ids == k)[0]) for k in range(ids.max() + 1)]
        return tuple(
            ", ".join(words[column][self.rows[row, column]] for column in columns[component])
            for row in first
        )


def _rows(text: str) -> np.ndarray:
    return np.array([[int(part) for part in row.split(",")] for row in text.split()])


# CholecT40, T45 and T50.
CHOLECT50 = TripletTable(
    name="CholecT50",
    instruments=("grasper", "bipolar", "hook", "scissors", "clipper", "irrigator"),
    verbs=tuple(
        "grasp retract dissect coagulate clip cut aspirate irrigate pack null_verb".split()
    ),
    targets=tuple(
        """gallbladder cystic_plate cystic_duct cystic_artery cystic_pedicle blood_vessel fluid
        abdominal_wall_cavity liver adhesion omentum peritoneum gut specimen_bag
        null_target""".split()
    ),
    rows=_rows(
        """0,2,1 0,2,0 0,2,10 0,0,3 0,0,2 0,0,4 0,0,1 0,0,0 0,0,12 0,0,8 0,0,10 0,0,11 0,0,13 0,8,0
        0,1,2 0,1,4 0,1,1 0,1,0 0,1,12 0,1,8 0,1,10 0,1,11
        1,3,7 1,3,5 1,3,3 1,3,2 1,3,4 1,3,1 1,3,0 1,3,8 1,3,10 1,3,11 1,2,9 1,2,3 1,2,2 1,2,1 1,2,0
        1,2,10 1,0,1 1,0,8 1,0,13 1,1,2 1,1,4 1,1,0 1,1,8 1,1,10
        2,3,5 2,3,3 2,3,2 2,3,4 2,3,1 2,3,0 2,3,8 2,3,10 2,5,5 2,5,11 2,2,5 2,2,3 2,2,2 2,2,1 2,2,0
        2,2,10 2,2,11 2,1,0 2,1,8
        3,3,10 3,5,9 3,5,5 3,5,3 3,5,2 3,5,1 3,5,8 3,5,10 3,5,11 3,2,1 3,2,0 3,2,10
        4,4,5 4,4,3 4,4,2 4,4,4 4,4,1
        5,6,6 5,2,2 5,2,4 5,2,1 5,2,0 5,2,10 5,7,7 5,7,4 5,7,8 5,1,0 5,1,8 5,1,10
        0,9,14 1,9,14 2,9,14 3,9,14 4,9,14 5,9,14"""
    ),
    null_verb=9,
)

# ProstaTD in the form of 89 triplets. Its files number the components and name none.
PROSTATD = TripletTable(
    name="ProstaTD",
    instruments=tuple(f"instrument {k}" for k in range(7)),
    verbs=(*(f"verb {k}" for k in range(9)), "null verb"),
    targets=(*(f"target {k}" for k in range(9)), "null target"),
    rows=_rows(
        """0,0,0 0,0,1 0,0,2 0,0,3 0,0,4 0,0,5 0,0,6 0,1,0 0,1,2 0,1,3 0,1,4 0,2,0 0,2,1 0,2,2 0,2,3
        0,2,4 0,2,7 0,3,0 0,3,2 0,3,3 0,3,4 0,9,9
        1,0,0 1,0,1 1,0,2 1,0,3 1,0,4 1,0,6 1,1,0 1,1,2 1,1,3 1,1,4 1,3,2 1,3,3 1,3,4 1,4,1 1,4,2
        1,4,3 1,4,4 1,4,5 1,4,6 1,4,7 1,6,0 1,6,3 1,6,4 1,9,9
        2,0,0 2,0,1 2,0,2 2,0,3 2,0,4 2,0,6 2,7,8 2,9,9
        3,0,0 3,0,3 3,0,4 3,4,0 3,4,1 3,4,4 3,4,5 3,4,6 3,4,7 3,6,0 3,6,3 3,6,4 3,9,9
        4,0,0 4,0,1 4,0,2 4,0,3 4,0,4 4,4,1 4,4,2 4,4,3 4,4,4 4,4,5 4,4,6 4,4,7 4,9,9
        5,8,0 5,8,2 5,8,3 5,8,4 5,8,6 5,9,9
        6,5,3 6,5,4 6,9,9"""
    ),
    null_verb=9,
)

TABLES = {"cholect50": CHOLECT50, "prostatd": PROSTATD}
