"""Which action triplets are there, and of which instrument, verb and target is each made?"""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class TripletTable:
    """The triplets of a dataset in their order.

    Attributes:
        instruments, verbs, targets: names of the components.
        rows: triplet id -> (instrument, verb, target), ids of the components.
        null_verb: the verb of triplets that stand for an instrument which does nothing.
    """

    instruments: Sequence[str]
    verbs: Sequence[str]
    targets: Sequence[str]
    rows: Sequence[tuple[int, int, int]]
    null_verb: int

    def names(self) -> tuple[str, ...]:
        """`instrument,verb,target` of each triplet."""
        return tuple(
            f"{self.instruments[i]},{self.verbs[v]},{self.targets[t]}" for i, v, t in self.rows
        )

    def null_triplets(self) -> tuple[int, ...]:
        """Ids of the triplets of an instrument that does nothing."""
        return tuple(k for k, (_, verb, _) in enumerate(self.rows) if verb == self.null_verb)


def _rows(text: str) -> tuple[tuple[int, int, int], ...]:
    return tuple(tuple(map(int, row.split(","))) for row in text.split())


# CholecT40, T45 and T50; IV = 10 I + V and IT = 15 I + T.
CHOLEC = TripletTable(
    instruments="grasper bipolar hook scissors clipper irrigator".split(),
    verbs=("grasp retract dissect coagulate clip cut aspirate irrigate pack null_verb".split()),
    targets=(
        "gallbladder cystic_plate cystic_duct cystic_artery cystic_pedicle blood_vessel fluid "
        "abdominal_wall_cavity liver adhesion omentum peritoneum gut specimen_bag null_target"
    ).split(),
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

# ProstaTD in the form of 89 triplets.  The files number the components and name none.
PROSTATE = TripletTable(
    instruments=[f"instrument {i}" for i in range(7)],
    verbs=[f"verb {i}" for i in range(9)] + ["null verb"],
    targets=[f"target {i}" for i in range(9)] + ["null target"],
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
