"""Which mistakes are worth a look: the surest ones, and some of each confusion of two classes."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from surgvista_jax.metrics.averaging import divide
from surgvista_jax.metrics.segments import runs
from surgvista_jax.reports.judged import Judged

SUREST = 12  # mistakes of the whole run, at most a third of them of one confusion
PAIRS = 8  # confusions, the most frequent first
OF_A_PAIR = 4  # mistakes of each
APART = 30.0  # seconds between two of one video: neighbours look alike
_LOOKED_AT = 20_000  # mistakes, the surest first, from which the surest are taken


@dataclass(frozen=True, eq=False)
class _Wrong:
    """Mistakes [M] that may be shown, and which confusion each is of, int [M].

    Of one class a moment confusion t C + p is of the true class t and the predicted one p; of
    several at once 2 k is class k there and not predicted, 2 k + 1 predicted and not there.
    """

    row: np.ndarray
    confusion: np.ndarray
    weight: np.ndarray  # what comes first
    frames: dict[int, int]  # of each confusion, of all mistakes


def mistakes(run: Judged) -> dict | None:
    """The mistakes of a run that are worth a look; None where there are none.

    Confidence is the score of what was predicted (of "not there" one minus the score). Without
    scores the longest stretches come first, and of each its middle.
    """
    wrong = _several(run) if run.several else _single(run)
    if not len(wrong.row):
        return None
    order = np.argsort(-wrong.weight, kind="stable")
    pairs = []
    for confusion in sorted(wrong.frames, key=lambda code: -wrong.frames[code])[:PAIRS]:
        truth, found, possible = _meaning(run, confusion)
        rows = order[wrong.confusion[order] == confusion]
        pairs.append(
            {
                "truth": truth,
                "prediction": found,
                "frames": wrong.frames[confusion],
                "share": float(divide(wrong.frames[confusion], possible)),
                "items": _items(run, wrong, _in_turn(run, wrong, rows)),
            }
        )
    surest = _items(run, wrong, _surest(run, wrong, order))
    return {"fps": run.fps, "surest": surest, "pairs": pairs}


def _single(run: Judged) -> _Wrong:
    rows = np.flatnonzero(run.truth != run.found)
    confusion = run.truth * len(run.classes) + run.found
    frames = _counted(confusion[rows])
    if run.score is not None:
        weight = run.score[rows, run.found[rows]]
        return _Wrong(rows, confusion[rows], weight, frames)
    # A stretch ends with its video.
    _, start, end = runs(confusion + run.video_index * len(run.classes) ** 2)
    middle = (start + end) // 2
    wrong = run.truth[middle] != run.found[middle]
    middle, length = middle[wrong], (end - start)[wrong]
    return _Wrong(middle, confusion[middle], length.astype(float), frames)


def _several(run: Judged) -> _Wrong:
    assert run.score is not None  # without, nothing is predicted of several classes
    rows, classes = np.nonzero(run.truth != run.found)
    extra = run.found[rows, classes]
    score = run.score[rows, classes]
    confusion = 2 * classes + extra
    return _Wrong(rows, confusion, np.where(extra, score, 1 - score), _counted(confusion))


def _counted(confusion: np.ndarray) -> dict[int, int]:
    codes, counts = np.unique(confusion, return_counts=True)
    return dict(zip(codes.tolist(), counts.tolist(), strict=True))


def _meaning(run: Judged, confusion: int) -> tuple[str, str, int]:
    """The truth and the prediction in words, and of how many moments that truth holds."""
    if not run.several:
        truth, found = divmod(confusion, len(run.classes))
        return run.classes[truth], run.classes[found], int((run.truth == truth).sum())
    index, extra = divmod(confusion, 2)
    there = int(run.truth[:, index].sum())
    names = run.classes[index], f"no {run.classes[index]}"
    return (names[1], names[0], len(run.truth) - there) if extra else (*names, there)


def _surest(run: Judged, wrong: _Wrong, order: np.ndarray) -> list[int]:
    """Places of the surest mistakes, spread over videos, times and confusions."""
    of_a_video = max(SUREST // 4, -(-SUREST // len(run.videos)))
    of_a_confusion = max(SUREST // 3, -(-SUREST // len(wrong.frames)))
    taken: list[int] = []
    for place in order[:_LOOKED_AT].tolist():
        row, confusion = wrong.row[place], wrong.confusion[place]
        same_video = [t for t in taken if run.video_index[wrong.row[t]] == run.video_index[row]]
        alike = sum(wrong.confusion[t] == confusion for t in taken)
        if len(same_video) < of_a_video and alike < of_a_confusion:
            if _apart(run, row, wrong.row[same_video]):
                taken.append(place)
        if len(taken) == SUREST:
            break
    return taken


def _in_turn(run: Judged, wrong: _Wrong, places: np.ndarray) -> list[int]:
    """Some of one confusion: the first of each video, of those with many of them before others."""
    videos = run.video_index[wrong.row[places]]
    counts = np.bincount(videos)
    waiting = {int(v): places[videos == v].tolist() for v in np.argsort(-counts, kind="stable")}
    taken: list[int] = []
    for _ in range(OF_A_PAIR):
        for video, left in waiting.items():
            mine = [wrong.row[t] for t in taken if run.video_index[wrong.row[t]] == video]
            free = (p for p in left if _apart(run, wrong.row[p], mine))
            found = next(free, None)
            if found is not None and len(taken) < OF_A_PAIR:
                taken.append(found)
    return taken


def _apart(run: Judged, row: int, others: Iterable[int]) -> bool:
    """Whether a moment is far enough from others of its video."""
    return all(abs(run.frame[row] - run.frame[other]) >= APART * run.fps for other in others)


def _items(run: Judged, wrong: _Wrong, places: list[int]) -> list[dict[str, Any]]:
    items = []
    for place in places:
        row = int(wrong.row[place])
        truth, found, _ = _meaning(run, int(wrong.confusion[place]))
        items.append(
            {
                "video": run.videos[run.video_index[row]],
                "second": float(run.frame[row] / run.fps),
                "truth": truth,
                "prediction": found,
                "confidence": None if run.score is None else float(wrong.weight[place]),
            }
        )
    return items
