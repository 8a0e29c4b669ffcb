"""The course of every video as text: truth and each model, one class after the other."""

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from surgvista_jax.metrics.segments import runs as segments_of
from surgvista_jax.predictions.times import ends
from surgvista_jax.reports.judged import Judged

MOST_LANES = 12  # classes of a video, where several hold at once
FEWEST = 10  # moments a video on average: clips of a few frames have no course
_RUN = re.compile(r"([0-9]+|-)\*([0-9]+)")


def ribbons(
    systems: Sequence[tuple[str, Judged]], title: str | None, values: np.ndarray | None
) -> dict | None:
    """The courses of all videos; None where moments are too few to have one.

    A course is text such as "3*120 -*10 4*33": class 3 for 120 steps from the start of the video,
    nothing known for 10, class 4 for 33. A lane, of one class of several, has 1 where it holds.

    Args:
        systems: (name, run), of the same moments; the first is the one that is reported.
        title: of the score by which videos are ranked.
        values: of each video, [V].
    """
    first = systems[0][1]
    if len(first.frame) < FEWEST * len(first.videos):
        return None
    step = int(np.gcd.reduce(first.frame)) or 1
    items = []
    for index, video in enumerate(first.videos):
        rows = first.rows(index)
        frame = first.frame[rows] // step
        item: dict[str, Any] = {"video": video, "steps": int(ends(frame)[-1])}
        item["value"] = None if values is None else values[index]
        if first.several:
            item |= _lanes([run for _, run in systems], rows, frame)
        else:
            item["truth"] = course(frame, first.truth[rows])
            item["systems"] = [course(frame, run.found[rows]) for _, run in systems]
        items.append(item)
    return {
        "classes": first.classes,
        "step": step / first.fps,  # seconds
        "score": title,
        "systems": [name for name, _ in systems],
        "items": items,
    }


def course(frame: np.ndarray, labels: np.ndarray) -> str:
    """Labels [n] at frames [n], ascending from 0 on, as text; what a gap leaves open is "-"."""
    until = ends(frame).astype(np.int64)
    steps, values = [], []
    borders = np.flatnonzero((np.diff(labels) != 0) | (frame[1:] != until[:-1])) + 1
    at = 0
    for start, end in zip([0, *borders], [*borders, len(frame)], strict=True):
        if frame[start] > at:
            steps.append(int(frame[start]) - at)
            values.append("-")
        at = int(until[end - 1])
        steps.append(at - int(frame[start]))
        values.append(str(int(labels[start])))
    return " ".join(f"{value}*{number}" for value, number in zip(values, steps, strict=True))


def segments(text: str) -> list[tuple[int, int, int]]:
    """What `course` wrote: (class, start, end) in steps, without what is open."""
    found, at = [], 0
    for value, number in _RUN.findall(text):
        if value != "-":
            found.append((int(value), at, at + int(number)))
        at += int(number)
    return found


def _lanes(runs: Sequence[Judged], rows: slice, frame: np.ndarray) -> dict:
    """The classes that are to be seen, or that the first run sees, by how long."""
    truth = runs[0].truth[rows]
    times = truth.sum(0) + 1e-6 * runs[0].found[rows].sum(0)
    order = np.argsort(-times, kind="stable")
    there = [int(k) for k in order if times[k] > 0]
    lanes = [
        {
            "class": k,
            "truth": course(frame, truth[:, k]),
            "systems": [course(frame, run.found[rows, k]) for run in runs],
        }
        for k in sorted(there[:MOST_LANES])
    ]
    return {"lanes": lanes, "not_shown": len(there) - len(lanes)}


def timelines(run: Judged, title: str, values: np.ndarray, number: int) -> dict:
    """The worst and best videos, `number` each at most, by segments of rows."""
    order = np.argsort(values, kind="stable")
    worst = order[: min(number, (len(order) + 1) // 2)]
    best = order[::-1][: min(number, len(order) // 2)]
    items = []
    for rank, videos in (("best", best), ("worst", worst)):
        for index in videos:
            rows = run.rows(index)
            bars = {
                name: np.stack(segments_of(labels[rows]), axis=1)
                for name, labels in (("truth", run.truth), ("prediction", run.found))
            }
            items.append(
                {
                    "video": run.videos[index],
                    "rank": rank,
                    "value": values[index],
                    "frames": rows.stop - rows.start,
                    "seconds": float(np.ptp(run.frame[rows])) / run.fps,
                    **bars,
                }
            )
    return {"classes": run.classes, "score": title, "items": items}
