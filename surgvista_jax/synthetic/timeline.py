"""What changes in an operation's scene besides its instruments.

The camera, the tissue that is cleared, the gallbladder and its bag, clips and cuts, fluids, smoke,
and the moments in which nothing can be seen. Each function fills its part of `scene` (SCENE [N]).
"""

from collections.abc import Sequence

import numpy as np

from surgvista_jax.synthetic.motion import smoothstep, wave
from surgvista_jax.synthetic.operation import (
    CALOT,
    CLEANING,
    CLIPPING,
    DISSECTION,
    PACKAGING,
    PHASES,
    PREPARATION,
    VERBS,
    WORKING,
    Act,
    Anatomy,
)


def move_camera(
    rng: np.random.Generator,
    scene: np.ndarray,
    phase: np.ndarray,
    progress: np.ndarray,
    seconds: np.ndarray,
    fps: float,
) -> None:
    drift = rng.random(6)
    zoom = np.where(phase == PREPARATION, 0.92 + 0.08 * smoothstep(2 * progress), 1.0)
    zoom = zoom * rng.uniform(0.94, 1.2)
    aim = rng.uniform(-0.03, 0.03, (len(PHASES), 2))[phase]
    width = min(max(int(fps), 1) | 1, 2 * (len(phase) // 2) - 1)
    smooth = np.pad(aim, ((width // 2, width // 2), (0, 0)), mode="edge")
    aim = np.stack([np.convolve(axis, np.ones(width) / width, "valid") for axis in smooth.T], -1)
    scene["camera"][:, 0] = 0.5 + aim[:, 0] + 0.012 * wave(seconds, 0.11, drift[0])
    scene["camera"][:, 1] = 0.48 + aim[:, 1] + 0.012 * wave(seconds, 0.07, drift[1])
    scene["camera"][:, 2] = zoom
    scene["camera"][:, 3] = rng.uniform(-0.2, 0.2) + 0.02 * wave(seconds, 0.05, drift[2])
    scene["light"][:, 0] = 0.5 + 0.07 * wave(seconds, 0.09, drift[3]) + rng.uniform(-0.05, 0.05)
    scene["light"][:, 1] = 0.45 + 0.05 * wave(seconds, 0.13, drift[4])


def clear_tissue(
    rng: np.random.Generator, scene: np.ndarray, phase: np.ndarray, progress: np.ndarray
) -> np.ndarray:
    """Fills `reveal`; the criteria [N, 3] that are met while the anatomy is whole."""
    order = rng.permutation(3)
    middles = np.array((0.25, 0.5, 0.72)) + rng.uniform(-0.07, 0.07, 3)
    for rank, criterion in enumerate(order):
        last = 1.0 if rng.random() < 0.85 else rng.uniform(0.0, 0.25)
        risen = smoothstep((progress - middles[rank]) / 0.12 + 0.5)
        level = np.where(phase < CALOT, 0.0, np.where(phase == CALOT, risen, 1.0)) * last
        scene["reveal"][:, criterion] = level
    return scene["reveal"] > 0.5


def move_organ_and_bag(
    rng: np.random.Generator,
    anatomy: Anatomy,
    scene: np.ndarray,
    phase: np.ndarray,
    progress: np.ndarray,
) -> None:
    peeled = np.where(phase == DISSECTION, 0.25 + 0.75 * progress, phase > DISSECTION)
    packed = np.where(phase == PACKAGING, smoothstep(progress / 0.5), phase > PACKAGING)
    middle = 0.5 * (np.array(anatomy.neck) + anatomy.fundus)
    away = np.array((-0.13, -0.08)) + rng.uniform(-0.02, 0.02, 2)
    bag = anatomy.point("specimen_bag") + rng.uniform(-0.03, 0.03, 2)
    shift = peeled[:, None] * away * (1 - packed[:, None]) + packed[:, None] * (bag - middle)
    scene["organ"][:, :2] = shift
    scene["organ"][:, 2] = 0.5 * peeled * (1 - packed) - 0.9 * packed
    scene["organ"][:, 3] = 1.0 - 0.1 * peeled - 0.25 * packed
    parked = np.where(phase == CLEANING, smoothstep(progress / 0.12), 0.0)[:, None]
    aside = np.array((0.27, 0.36)) - bag
    scene["organ"][:, :2] += parked * aside
    scene["bag"][:, :2] = bag + parked * aside
    unrolled = smoothstep(progress / 0.15 + 0.3)
    scene["bag"][:, 2] = np.where(phase == PACKAGING, unrolled, phase > PACKAGING)
    scene["raw"] = peeled


def keep_marks(scene: np.ndarray, phase: np.ndarray) -> None:
    """Clips stay and a cut stays a cut; after the clipping phase both are there."""
    for mark, least in (("clips", 2.0), ("cut", 1.0)):
        scene[mark] = np.maximum.accumulate(scene[mark], 0)
        scene[mark][phase > CLIPPING] = np.maximum(scene[mark][phase > CLIPPING], least)


def let_flow(
    rng: np.random.Generator,
    scene: np.ndarray,
    tools: np.ndarray,
    acts: Sequence[Act],
    phase: np.ndarray,
    progress: np.ndarray,
    fps: float,
) -> None:
    """Fluid, blood and smoke: what builds up and goes away again."""
    rate = np.zeros(len(phase))
    washed = np.zeros(len(phase))
    for act in acts:
        if act.motion == "spray":
            rate[act.start : act.stop] = 0.8 / (act.stop - act.start)
            washed[act.start :] = 0.7 * smoothstep(
                np.arange(len(phase) - act.start) * rate[act.start]
            )
        elif act.motion == "suck":
            rate[act.start : act.stop] = -0.8 / (act.stop - act.start)
    begin = 0.1 + max(0.0, -np.cumsum(rate).min())
    flooded = np.where(phase < CLEANING, smoothstep((phase - DISSECTION + progress) / 3), 1.0)
    scene["pool"] = np.clip(begin * flooded + np.cumsum(rate), 0, 1)
    bleeding = rng.uniform(0.2, 0.7) * np.clip((phase - CALOT + progress) / 3, 0, 1)
    scene["blood"] = bleeding * (1 - washed)
    burning = (tools["verb"][:, WORKING] == VERBS.index("coagulate")) * 0.9
    cutting = (tools["verb"][:, WORKING] == VERBS.index("dissect")) * 0.12
    decay = np.exp(-1 / (1.2 * fps))
    level = 0.0
    for frame, source in enumerate(burning + cutting):
        level = decay * level + (1 - decay) * source
        scene["smoke"][frame] = level


def interrupt(
    rng: np.random.Generator, scene: np.ndarray, num_frames: int, fps: float, expected: float
) -> None:
    """Now and then the lens fogs, or the endoscope is taken out to be cleaned."""
    frames = np.arange(num_frames)
    for _ in range(rng.poisson(1.5 * expected)):
        middle, half = rng.integers(num_frames), max(1.0, 0.3 * fps)
        scene["haze"] = np.maximum(scene["haze"], smoothstep(1.4 - np.abs(frames - middle) / half))
    if rng.random() < 0.4 * expected:
        first = rng.integers(num_frames)
        last = first + max(2, min(round(0.6 * fps), num_frames // 30))
        scene["outside"] = (frames >= first) & (frames < last)
