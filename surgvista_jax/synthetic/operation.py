"""A made-up operation: the labels of each frame, and all that decides its picture.

A laparoscopic cholecystectomy in small: seven phases in Cholec80's order, instrument-verb-target
triplets in CholecT50's words, one action a frame, the three criteria of the critical view of
safety, and the instruments that are in the picture.
"""

from dataclasses import dataclass

import numpy as np

from surgvista_jax.facts.phases import CHOLEC80

PHASES = CHOLEC80
PREPARATION, CALOT, CLIPPING, DISSECTION, PACKAGING, CLEANING, RETRACTION = range(7)
INSTRUMENTS = ("grasper", "hook", "clipper", "scissors", "bipolar", "irrigator")
VERBS = ("grasp", "retract", "dissect", "coagulate", "clip", "cut", "irrigate", "aspirate", "pack")
TARGETS = (
    "gallbladder",
    "cystic_duct",
    "cystic_artery",
    "liver",
    "fluid",
    "specimen_bag",
)
TRIPLETS = (
    ("grasper", "grasp", "gallbladder"),
    ("grasper", "retract", "gallbladder"),
    ("hook", "dissect", "cystic_duct"),
    ("hook", "dissect", "gallbladder"),
    ("hook", "coagulate", "liver"),
    ("clipper", "clip", "cystic_duct"),
    ("clipper", "clip", "cystic_artery"),
    ("scissors", "cut", "cystic_duct"),
    ("scissors", "cut", "cystic_artery"),
    ("bipolar", "coagulate", "liver"),
    ("irrigator", "irrigate", "liver"),
    ("irrigator", "aspirate", "fluid"),
    ("grasper", "pack", "gallbladder"),
    ("grasper", "retract", "specimen_bag"),
)
# Row i: the ids of triplet i's instrument, verb and target.
TRIPLET_COMPONENTS = np.array(
    [(INSTRUMENTS.index(i), VERBS.index(v), TARGETS.index(t)) for i, v, t in TRIPLETS], np.int32
)
ACTIONS = VERBS
CVS_CRITERIA = ("two_structures", "triangle_cleared", "plate_dissected")

# The two rows of `Operation.tools`: the left hand holds, the right hand works.
HOLDING, WORKING = 0, 1

TOOL = np.dtype(
    [
        ("kind", "i4"),  # instrument id, -1 absent
        ("tip", "f4", 2),  # scene coordinates
        ("port", "f4", 2),  # where the shaft pivots, outside the picture
        ("opening", "f4"),
        ("contact", "f4"),
        ("verb", "i4"),  # -1: does nothing
    ]
)
SCENE = np.dtype(
    [
        ("camera", "f4", 4),  # centre x, y; zoom; roll in radians
        ("light", "f4", 2),
        ("reveal", "f4", 3),  # how far each criterion's tissue is cleared, 0 to 1
        ("pull", "f4", 4),  # point x, y held by the left hand and its displacement
        ("organ", "f4", 4),  # gallbladder: shift x, y; turn in radians; scale
        ("clips", "f4", 2),  # on duct and artery
        ("cut", "f4", 2),
        ("bag", "f4", 3),  # x, y, how much of it is there
        ("pool", "f4"),
        ("blood", "f4"),
        ("raw", "f4"),  # of the liver bed
        ("smoke", "f4"),
        ("haze", "f4"),  # fogged or unfocused lens
        ("outside", "f4"),  # the endoscope is out of the body
    ]
)


@dataclass(frozen=True)
class Anatomy:
    """Where things lie in one operation: points (x, y) in units of the frame's shorter side."""

    fundus: tuple[float, float]
    neck: tuple[float, float]
    duct_end: tuple[float, float]
    artery_start: tuple[float, float]
    fat_line: float
    pool: tuple[float, float]
    width: float

    def point(self, name: str) -> np.ndarray:
        """The place where an instrument works on `name`, one of TARGETS."""
        neck, fundus = np.array(self.neck), np.array(self.fundus)
        body = fundus - neck
        places = {
            "gallbladder": neck + 0.38 * body + (0.03, 0.01),
            "cystic_duct": 0.5 * neck + 0.5 * np.array(self.duct_end) + (-0.02, 0.02),
            "cystic_artery": 0.45 * neck + 0.55 * np.array(self.artery_start) + (0.01, 0.01),
            "liver": neck + 0.45 * body + (0.10, 0.02),
            "fluid": np.array(self.pool),
            "specimen_bag": np.array((0.50, 0.56)),
        }
        return places[name]

    @property
    def grip(self) -> np.ndarray:
        """The place at which the left hand holds the gallbladder."""
        return np.array(self.neck) + 0.30 * (np.array(self.fundus) - self.neck) - (0.05, 0.0)


@dataclass(frozen=True)
class Act:
    """What one hand does in frames `start` to `stop`; `triplet` is None where that has no name."""

    start: int
    stop: int
    hand: int
    instrument: int
    triplet: int | None
    motion: str


@dataclass(frozen=True, eq=False)
class Operation:
    """One planned operation of N frames: its labels, and all that it takes to draw any of them."""

    video: str
    seed: int
    fps: float
    anatomy: Anatomy
    phase: np.ndarray  # int32 [N]
    action: np.ndarray  # int32 [N], the working hand's verb, else the holding hand's; -1 none
    triplets: np.ndarray  # uint8 [N, len(TRIPLETS)]
    cvs: np.ndarray  # uint8 [N, 3], CVS_CRITERIA met; 0 once the gallbladder leaves its bed
    instruments: np.ndarray  # uint8 [N, len(INSTRUMENTS)], those whose tips are in the picture
    tools: np.ndarray  # TOOL [N, 2]
    scene: np.ndarray  # SCENE [N]

    @property
    def num_frames(self) -> int:
        return len(self.phase)
