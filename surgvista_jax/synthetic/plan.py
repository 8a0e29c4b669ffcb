"""The plan of an operation: phases and acts, when, and what they change in the scene.

Everything random is drawn from one seed, and what has a past (pools, smoke, clips) is accumulated
in the plan, so that any frame can be drawn alone. No pixel is touched: a plan takes milliseconds.
"""

from collections.abc import Sequence

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.synthetic.camera import in_view
from surgvista_jax.synthetic.motion import move
from surgvista_jax.synthetic.operation import (
    ACTIONS,
    CALOT,
    CLEANING,
    CLIPPING,
    DISSECTION,
    HOLDING,
    INSTRUMENTS,
    PACKAGING,
    PHASES,
    PREPARATION,
    RETRACTION,
    SCENE,
    TARGETS,
    TOOL,
    TRIPLET_COMPONENTS,
    TRIPLETS,
    VERBS,
    WORKING,
    Act,
    Anatomy,
    Operation,
)
from surgvista_jax.synthetic.timeline import (
    clear_tissue,
    interrupt,
    keep_marks,
    let_flow,
    move_camera,
    move_organ_and_bag,
)

# What the working hand does in a phase: (triplet, motion, share of the phase). In Preparation only
# the holding hand acts, while the hook may already wait in the picture.
_ACTS = {
    PREPARATION: ((0, "grasp", 1.0), (1, "retract", 1.0)),
    CALOT: ((2, "stroke", 1.0),),
    CLIPPING: ((5, "clip", 1.0), (6, "clip", 1.0), (7, "cut", 0.8), (8, "cut", 0.8)),
    DISSECTION: ((3, "sweep", 2.0), (4, "burn", 1.0), (3, "sweep", 2.0), (4, "burn", 1.0)),
    PACKAGING: ((12, "pack", 1.0),),
    CLEANING: ((10, "spray", 1.0), (11, "suck", 1.2), (9, "burn", 1.0)),
    RETRACTION: ((13, "haul", 1.0),),
}
_SHARES = np.array((0.12, 0.20, 0.18, 0.19, 0.11, 0.13, 0.07))
_SKIPPABLE = (PREPARATION, CLEANING, RETRACTION)
_HOLDS = (CALOT, CLIPPING, DISSECTION)
_RETRACT_GALLBLADDER = 1
MIN_FRAMES = 4 * len(PHASES)


def plan_operation(seed: int, num_frames: int, fps: float, video: str | None = None) -> Operation:
    """A whole operation; the phases share `num_frames` whatever the rate, motions keep their pace.

    Raises:
        UserError: fewer than 28 frames, or a rate that is not positive.
    """
    _check(num_frames, fps, MIN_FRAMES)
    rng = np.random.default_rng([seed, 1])
    shares = _SHARES * rng.uniform(0.75, 1.3, len(PHASES))
    if rng.random() < 0.3:
        shares[rng.choice(_SKIPPABLE)] = 0.0
    bounds = np.rint(np.cumsum(shares) / shares.sum() * num_frames).astype(int)
    starts = np.concatenate([[0], bounds[:-1]])
    phase = np.repeat(np.arange(len(PHASES), dtype=np.int32), bounds - starts)
    progress = (np.arange(num_frames) - starts[phase]) / (bounds - starts)[phase]
    acts = []
    for p in np.unique(phase):
        acts += _phase_acts(rng, int(p), starts[p], bounds[p])
    return _unfold(rng, video or f"operation_{seed:04d}", seed, fps, phase, progress, acts, 1.0)


def plan_action(
    seed: int, action: int, num_frames: int, fps: float, video: str | None = None
) -> Operation:
    """A short clip in which one action, an id in ACTIONS, fills every frame.

    Raises:
        UserError: an unknown action, fewer than 2 frames, or a rate that is not positive.
    """
    _check(num_frames, fps, 2)
    if not 0 <= action < len(ACTIONS):
        raise UserError(f"action {action}: should be 0 to {len(ACTIONS) - 1}")
    rng = np.random.default_rng([seed, 2])
    candidates = [
        (p, triplet, motion)
        for p, acts in _ACTS.items()
        for triplet, motion, _ in acts
        if TRIPLET_COMPONENTS[triplet, 1] == action
    ]
    p, triplet, motion = candidates[rng.integers(len(candidates))]
    phase = np.full(num_frames, p, np.int32)
    begin = rng.uniform(0.1, 0.7)
    progress = begin + 0.2 * np.arange(num_frames) / num_frames
    hand = HOLDING if p == PREPARATION else WORKING
    instrument = int(TRIPLET_COMPONENTS[triplet, 0])
    acts = [Act(0, num_frames, hand, instrument, triplet, motion)]
    if p in _HOLDS:
        acts.append(Act(0, num_frames, HOLDING, 0, _RETRACT_GALLBLADDER, "hold"))
    video = video or f"{VERBS[action]}_{seed:04d}"
    return _unfold(rng, video, seed, fps, phase, progress, acts, 0.0)


def _check(num_frames: int, fps: float, least: int) -> None:
    if num_frames < least:
        raise UserError(f"num_frames {num_frames}: should be {least} or more")
    if not fps > 0:
        raise UserError(f"fps {fps}: should be above 0")


def _phase_acts(rng: np.random.Generator, phase: int, start: int, stop: int) -> list[Act]:
    table = list(_ACTS[phase])
    if phase == CLEANING and rng.random() < 0.5:
        table = table[2:] + table[:2]
    shares = np.array([share for _, _, share in table]) * rng.uniform(0.8, 1.25, len(table))
    edges = np.rint(start + np.cumsum([0, *shares]) / shares.sum() * (stop - start)).astype(int)
    hand = HOLDING if phase == PREPARATION else WORKING
    acts = [
        Act(int(a), int(b), hand, int(TRIPLET_COMPONENTS[triplet, 0]), triplet, motion)
        for (triplet, motion, _), a, b in zip(table, edges[:-1], edges[1:], strict=True)
        if b > a
    ]
    if phase in _HOLDS:
        acts.append(Act(start, stop, HOLDING, 0, _RETRACT_GALLBLADDER, "hold"))
    if phase == PREPARATION and rng.random() < 0.6:
        acts.append(Act(start, stop, WORKING, INSTRUMENTS.index("hook"), None, "hover"))
    return acts


def _random_anatomy(rng: np.random.Generator) -> Anatomy:
    def near(x: float, y: float, spread: float = 0.03) -> tuple[float, float]:
        return (x + rng.uniform(-spread, spread), y + rng.uniform(-spread, spread))

    return Anatomy(
        fundus=near(0.40, 0.06, 0.09),
        neck=near(0.48, 0.47, 0.04),
        duct_end=near(0.51, 0.82, 0.06),
        artery_start=near(0.80, 0.70, 0.04),
        fat_line=rng.uniform(0.75, 0.86),
        pool=near(0.60, 0.68),
        width=rng.uniform(0.85, 1.3),
    )


def _unfold(
    rng: np.random.Generator,
    video: str,
    seed: int,
    fps: float,
    phase: np.ndarray,
    progress: np.ndarray,
    acts: Sequence[Act],
    interruptions: float,
) -> Operation:
    num_frames = len(phase)
    seconds = np.arange(num_frames) / fps
    anatomy = _random_anatomy(rng)
    scene = np.zeros(num_frames, SCENE)
    move_camera(rng, scene, phase, progress, seconds, fps)
    achieved = clear_tissue(rng, scene, phase, progress)
    move_organ_and_bag(rng, anatomy, scene, phase, progress)
    tools = np.zeros((num_frames, 2), TOOL)
    tools["kind"] = tools["verb"] = -1
    triplets = np.zeros((num_frames, len(TRIPLETS)), np.uint8)
    ports = (
        np.array((rng.uniform(-0.75, -0.55), rng.uniform(0.1, 0.5))),
        np.array((rng.uniform(1.45, 1.7), rng.uniform(0.05, 0.45))),
    )
    for act in sorted(acts, key=lambda act: act.start):
        _perform(rng, act, anatomy, scene, tools, triplets, ports, fps)
    keep_marks(scene, phase)
    let_flow(rng, scene, tools, acts, phase, progress, fps)
    interrupt(rng, scene, num_frames, fps, interruptions)
    hidden = scene["outside"] > 0.5
    triplets[hidden] = 0
    verbs = np.where(hidden[:, None], -1, tools["verb"])
    action = np.where(verbs[:, WORKING] >= 0, verbs[:, WORKING], verbs[:, HOLDING])
    cvs = achieved * (phase <= CLIPPING)[:, None] * ~hidden[:, None]
    labels = action.astype(np.int32), triplets, cvs.astype(np.uint8)
    instruments = _in_picture(tools, scene) * ~hidden[:, None]
    return Operation(video, seed, fps, anatomy, phase, *labels, instruments, tools, scene)


def _in_picture(tools: np.ndarray, scene: np.ndarray) -> np.ndarray:
    """uint8 [N, len(INSTRUMENTS)]: 1 where the tip of such an instrument is in view."""
    kinds = np.where(in_view(scene, tools["tip"]), tools["kind"], -1)
    return (kinds[..., None] == np.arange(len(INSTRUMENTS))).any(1).astype(np.uint8)


def _perform(
    rng: np.random.Generator,
    act: Act,
    anatomy: Anatomy,
    scene: np.ndarray,
    tools: np.ndarray,
    triplets: np.ndarray,
    ports: tuple[np.ndarray, np.ndarray],
    fps: float,
) -> None:
    """Moves one instrument through its act; fills tool, labels, and what it does to the tissue."""
    span = slice(act.start, act.stop)
    moments = np.arange(act.start, act.stop) / fps - act.start / fps
    earlier = tools["kind"][act.start - 1, act.hand] if act.start else act.instrument
    motion = move(
        act.motion, moments, moments[-1] + 1 / fps, rng.random(), earlier != act.instrument
    )
    name = None if act.triplet is None else TARGETS[TRIPLET_COMPONENTS[act.triplet, 2]]
    held_organ = act.hand == HOLDING
    target = anatomy.grip if held_organ else anatomy.point(name or "cystic_duct")
    target = np.repeat(target[None], act.stop - act.start, 0)
    if held_organ or name == "gallbladder" and act.motion == "sweep":
        follow = scene["organ"][span, :2] * (1.0 if held_organ else 0.4)
        target = target + follow * (scene["bag"][span, 2:] < 0.5)
    if act.motion in ("pack", "haul"):
        target = scene["bag"][span, :2] + (0.03, -0.09)
    if act.motion == "burn":
        target = target + rng.uniform(-0.05, 0.05, 2)
    axis = target - ports[act.hand]
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    across = np.stack([-axis[:, 1], axis[:, 0]], 1)
    offset = motion.along[:, None] * axis + motion.across[:, None] * across
    tool = tools[span, act.hand]
    tool["kind"] = act.instrument
    tool["tip"] = target + offset
    tool["port"] = ports[act.hand]
    tool["opening"], tool["contact"] = motion.opening, motion.contact
    if act.triplet is not None:
        there = np.linalg.norm(offset, axis=1) < 0.28
        triplets[span, act.triplet] = there
        tool["verb"] = np.where(there, TRIPLET_COMPONENTS[act.triplet, 1], -1)
    if held_organ:
        scene["pull"][span, :2] = target
        scene["pull"][span, 2:] = offset * motion.contact[:, None]
    if act.motion == "haul":
        scene["bag"][span, :2] += offset
        scene["organ"][span, :2] += offset
    if act.motion == "pack":
        scene["bag"][span, :2] += 0.25 * (offset - offset.mean(0))
        scene["organ"][span, :2] += 0.5 * (offset - offset.mean(0))
    if act.motion in ("clip", "cut"):
        vessel = int(name == "cystic_artery")
        done = motion.contact.cumsum() > 0
        if act.motion == "clip":
            closings = (np.diff(motion.contact, prepend=0) > 0).cumsum()
            scene["clips"][span, vessel] = np.minimum(closings, 3)
        else:
            done &= moments > 0.55 * moments[-1]
            scene["cut"][span, vessel] = done
