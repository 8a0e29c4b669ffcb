"""The rules that tasks have in common: clips by durations, batches by memory, steps by clips."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from surgvista_jax.tasks.choosing.choice import Choice
from surgvista_jax.tasks.choosing.facts import DataFacts, DeviceFacts
from surgvista_jax.training.durations import in_words

# The published clip spans 64 s of operations of about an hour.
_LONGEST_SPAN = 64.0  # s
_SHARE_OF_VIDEO = 0.25
_UPDATES_AN_EPOCH = 8  # at least, so that a batch is no large part of the data
_FEWEST_CLIPS = 8  # of a batch, where there are so many
_EVALUATIONS, _UPDATES_APART = 15, 20
FORWARD = 3  # clips are evaluated in the time in which one is trained on
_MANY_FRAMES, _SKIPPED = 1_000_000, 10


def clip_choices(data: DataFacts, frames: int, size: int, why_size: str) -> list[Choice]:
    """Frames, stride and sampling of clips by how long videos and labels last.

    Args:
        frames: of a clip, where videos are long enough; even, as tokens span two frames.
        size: pixels a side, and why.
    """
    median = float(np.median(data.lengths)) if data.lengths else 1.0
    choices = [Choice("clip.size", size, why_size)]
    videos = f"videos last {in_words(median / data.fps)} ({median:g} frames) in the median"
    if data.whole and (data.task == "action" or len(data.runs) == len(data.lengths)):
        fitting = _even(min(frames, median))
        return [
            *choices,
            Choice("clip.sampling", "uniform", "each video has one label: a clip spans all of it"),
            Choice("clip.num_frames", fitting, why_size if fitting == frames else videos),
        ]
    span = min(_LONGEST_SPAN, _SHARE_OF_VIDEO * median / data.fps)
    why = f"{_LONGEST_SPAN:g} s, as published"
    if span < _LONGEST_SPAN:
        why = f"a quarter of a video ({in_words(span)})"
    if data.runs and (run := float(np.median(data.runs)) / data.fps) < span:
        span, why = run, f"how long labels last ({in_words(run)} in the median)"
    fitting = _even(min(frames, max(median / 2, 2)))
    stride = max(1, int(span * data.fps / fitting))
    spanned = f"{fitting} frames span {in_words(fitting * stride / data.fps)}"
    within = "within" if fitting * stride <= span * data.fps else "as near as frames allow to"
    return [
        *choices,
        Choice("clip.num_frames", fitting, why_size if fitting == frames else f"half: {videos}"),
        Choice("clip.stride", stride, f"{spanned}, {within} {why}"),
    ]


def short(number: float) -> float:
    """A number that a person would write: of three digits."""
    return float(f"{number:.3g}")


def _even(frames: float) -> int:
    return max(2, int(frames) // 2 * 2)


class Batch(NamedTuple):
    """Clips of an update and the parts that it is computed in."""

    size: int
    accumulate: int
    reason: str
    reason_of_parts: str


def batch_for(
    clips: int,
    most: int,
    devices: DeviceFacts,
    at_a_time: int | None,
    even: bool = False,
    told: int | None = None,
) -> Batch:
    """The batch of so many clips an epoch.

    Args:
        most: clips, as published.
        told: the clips that the user says; None where that is left open.
        at_a_time: that a device holds; None: all of a batch.
        even: whether each part on a device needs an even number.
    """
    few = min(max(clips, 1), _FEWEST_CLIPS)
    wanted = min(most, max(clips // _UPDATES_AN_EPOCH, few))
    least = devices.count * (2 if even else 1)
    size = told or max(least, 2 ** int(math.log2(wanted)) // least * least)
    each = max(size // devices.count, 1)
    parts = 1
    if at_a_time is not None:
        counts = (n for n in range(1, each + 1) if each % n == 0)
        fitting = (n for n in counts if each // n <= at_a_time and not (even and each // n % 2))
        parts = next(fitting, each // (2 if even else 1))
    reason = f"so that an epoch of {clips:,} clips has {_UPDATES_AN_EPOCH} updates or more"
    if wanted == most:
        reason = "the most that models of this size take"
    elif wanted == few:
        reason = f"of {clips:,} clips; of fewer at a time little is learnt"
    if devices.count > 1:
        reason += f", over {devices.count} devices"
    held = "the whole batch fits" if parts == 1 else f"a device holds about {at_a_time} clips"
    return Batch(size, parts, reason, held)


def batch_choices(batch: Batch) -> list[Choice]:
    """A batch as values of the configuration."""
    return [
        Choice("budget.batch_size", batch.size, batch.reason),
        Choice("budget.accumulate", batch.accumulate, batch.reason_of_parts),
    ]


def step_choices(
    clips: int, batch_size: int, epochs: float, bounds: tuple[int, int], told: Sequence[str] = ()
) -> tuple[list[Choice], int]:
    """Updates of a run: so many epochs, but within bounds; also what follows from them.

    Args:
        epochs: as published.
        bounds: fewest and most updates.
        told: of "budget.steps" and "budget.epochs", what the user says.

    Returns:
        The choices, and updates an epoch.
    """
    an_epoch = max(clips // batch_size, 1)
    fewest, most = bounds
    steps = min(max(math.ceil(epochs * an_epoch), fewest), most)
    why = f"{steps / an_epoch:.3g} epochs of {an_epoch:,} updates"
    if steps == fewest:
        why += f", no fewer than {fewest:,} updates"
    elif steps == most:
        why += f", no more than {most:,} updates"
    else:
        why += ", as published"
    if "budget.epochs" in told:
        choices = (
            [] if "budget.steps" in told else [Choice("budget.steps", None, "epochs are told")]
        )
    elif "budget.steps" in told:
        choices = [Choice("budget.epochs", None, "steps are told")]
    else:
        choices = [
            Choice("budget.steps", steps, why),
            Choice("budget.epochs", None, "steps are counted instead"),
        ]
    return choices, an_epoch


def evaluations(steps: int, batch_size: int, selected: int) -> tuple[int, str]:
    """How often a run is evaluated, which should not take longer than its training; and why.

    Args:
        steps: updates of the run.
        batch_size: clips of each.
        selected: clips of an evaluation.
    """
    fitting = FORWARD * steps * batch_size // max(selected, 1)
    apart = steps // _UPDATES_APART
    times = max(min(_EVALUATIONS, fitting, apart), 1)
    often = "once" if times == 1 else f"{times} times"
    if times == _EVALUATIONS:
        why = f"about {_EVALUATIONS} evaluations"
    elif fitting <= apart:
        too_long = "more would outlast training" if fitting else "even that outlasts training"
        why = f"{selected:,} clips are evaluated {often}: {too_long}"
    else:
        why = f"{often} in {steps:,} updates: fewer than {_UPDATES_APART} change little"
    return times, why


def thinning(data: DataFacts, stride: int) -> str:
    """Advice where clips skip most frames of very many; "" elsewhere."""
    if data.frames < _MANY_FRAMES or stride < _SKIPPED:
        return ""
    fps = max(1.0, short(4 * data.fps / stride))
    return (
        f"frames of a clip are {stride} apart, yet each of the {data.frames:,} frames to train on"
        f" ends one, and so in evaluations: `surgvista data convert … --fps {fps:g}` makes a"
        " dataset that teaches nearly as much and is evaluated sooner"
    )


def watch_choices(steps: int) -> list[Choice]:
    """How often a run of so many updates is saved and told of."""
    return [
        Choice("checkpoint.save_every", max(1, min(500, steps // 10)), "at most a tenth is lost"),
        Choice("loop.log_every", max(1, min(50, steps // 40)), "about forty lines or more"),
    ]
