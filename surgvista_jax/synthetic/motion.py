"""The motion of an instrument's tip while it does something.

Each motion is a function of time alone, so that two motions of one instrument can be told apart
only by watching several frames. Offsets are in units of the frame's shorter side: `along` the shaft
(positive is deeper), `across` it. Frequencies stay below 2 Hz: from 5 frames a second on, a video
shows them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Motion:
    """What a tip does at each moment of an act; every field is float [n]."""

    along: np.ndarray
    across: np.ndarray
    opening: np.ndarray  # of the jaws, 0 closed to 1 open
    contact: np.ndarray  # 0 or 1: the tip holds the tissue, or works on it


# Fields of a Motion, in their order.
Path = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


def smoothstep(x: np.ndarray) -> np.ndarray:
    """0 below 0, 1 above 1, smooth in between."""
    x = np.clip(x, 0.0, 1.0)
    return x * x * (3.0 - 2.0 * x)


def wave(seconds: np.ndarray, hertz: float, phase: float = 0.0) -> np.ndarray:
    return np.sin(2 * np.pi * (hertz * seconds + phase))


def _hover(t: np.ndarray, share: np.ndarray, phase: float) -> Path:
    return -0.03 + 0.02 * wave(t, 0.1, phase), 0.02 * wave(t, 0.13, phase), 0 * t, 0 * t


def _grasp(t: np.ndarray, share: np.ndarray, phase: float) -> Path:
    far = 0.5 + 0.5 * np.cos(2 * np.pi * 0.75 * t)
    return -0.10 * far, 0.01 * wave(t, 0.3, phase), smoothstep(1.6 * far), (far < 0.3) * 1.0


def _retract(t: np.ndarray, share: np.ndarray, phase: float) -> Path:
    pull = np.sin(np.pi * 0.45 * t) ** 2
    return -0.11 * pull, 0.03 * pull * wave(t, 0.1, phase), 0 * t, 1 + 0 * t


def _hold(t: np.ndarray, share: np.ndarray, phase: float) -> Path:
    return -0.03 + 0.01 * wave(t, 0.13, phase), 0.01 * wave(t, 0.17), 0 * t, 1 + 0 * t


def _stroke(t: np.ndarray, share: np.ndarray, phase: float) -> Path:
    walk = 0.03 * wave(t, 0.12, phase)
    stroke = wave(t, 1.5, phase)
    return 0.03 * stroke, walk + 0.015 * wave(t, 0.75), 0 * t, (stroke > -0.3) * 1.0


def _sweep(t: np.ndarray, share: np.ndarray, phase: float) -> Path:
    return 0.015 * wave(t, 1.0, phase), 0.085 * wave(t, 0.5, phase), 0 * t, 1 + 0 * t


def _burn(t: np.ndarray, share: np.ndarray, phase: float) -> Path:
    tremble = 0.003 * wave(t, 1.9, phase)
    return tremble, 0.003 * wave(t, 1.3), 0.25 + 0.25 * wave(t, 0.6, phase), 1 + 0 * t


def _clip(t: np.ndarray, share: np.ndarray, phase: float) -> Path:
    cycle = 0.7 * t % 1.0
    near = smoothstep(cycle / 0.35) * smoothstep((1 - cycle) / 0.3)
    closed = smoothstep((cycle - 0.35) / 0.15) * smoothstep((0.95 - cycle) / 0.1)
    return -0.15 * (1 - near), 0.01 * wave(t, 0.2, phase), 1 - closed, (closed > 0.8) * 1.0


def _cut(t: np.ndarray, share: np.ndarray, phase: float) -> Path:
    snip = 0.5 + 0.5 * np.cos(2 * np.pi * 1.7 * t)
    return -0.03 + 0.05 * share, 0.008 * wave(t, 0.4, phase), snip, (snip < 0.3) * 1.0


def _spray(t: np.ndarray, share: np.ndarray, phase: float) -> Path:
    return -0.09 + 0.01 * wave(t, 0.3), 0.06 * wave(t, 0.8, phase), 0 * t, 1 + 0 * t


def _suck(t: np.ndarray, share: np.ndarray, phase: float) -> Path:
    return 0.03 * wave(t, 0.5, phase), 0.035 * wave(t, 0.15), 0 * t, 1 + 0 * t


def _pack(t: np.ndarray, share: np.ndarray, phase: float) -> Path:
    far = 0.5 + 0.5 * np.cos(2 * np.pi * 0.6 * t)
    return 0.02 - 0.12 * far, 0.015 * wave(t, 0.3, phase), 0.5 * (far < 0.15), (far > 0.2) * 1.0


def _haul(t: np.ndarray, share: np.ndarray, phase: float) -> Path:
    pull = 0.6 * smoothstep(share) + 0.4 * wave(t, 0.2, phase) ** 2
    return -0.14 * pull, 0.01 * wave(t, 0.2), 0 * t, 1 + 0 * t


MOTIONS: dict[str, Callable[[np.ndarray, np.ndarray, float], Path]] = {
    "hover": _hover,
    "grasp": _grasp,
    "retract": _retract,
    "hold": _hold,
    "stroke": _stroke,
    "sweep": _sweep,
    "burn": _burn,
    "clip": _clip,
    "cut": _cut,
    "spray": _spray,
    "suck": _suck,
    "pack": _pack,
    "haul": _haul,
}
ENTRY_SECONDS = 0.4


def move(name: str, seconds: np.ndarray, duration: float, phase: float, enters: bool) -> Motion:
    """The motion `name` at `seconds` [n] after the act's start; `phase` in [0, 1) shifts its waves.

    An instrument that `enters` comes in from the edge of the picture first.
    """
    seconds = np.asarray(seconds, float)
    along, across, opening, contact = MOTIONS[name](seconds, seconds / max(duration, 1e-6), phase)
    if enters:
        entered = smoothstep((seconds + 0.1) / ENTRY_SECONDS)
        along = along - 0.25 * (1 - entered)
        contact = contact * (entered > 0.9)
    return Motion(along, across, opening, contact)
