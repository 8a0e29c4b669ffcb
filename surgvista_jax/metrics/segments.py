"""Scores of the order of phases, segment by segment: edit score, segmental F1.

For offline recognition, where a sequence torn into many pieces can have a high frame accuracy.
"""

from collections.abc import Sequence

import numpy as np

from surgvista_jax.metrics.averaging import divide


def runs(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Stretches of one label: (label [S], first frame [S], frame after the last [S])."""
    labels = np.asarray(labels)
    borders = np.flatnonzero(np.diff(labels)) + 1
    starts = np.concatenate([[0], borders]).astype(np.int64)
    ends = np.concatenate([borders, [len(labels)]]).astype(np.int64)
    return labels[starts], starts, ends


def edit_score(truth: np.ndarray, prediction: np.ndarray) -> float:
    """1 - Levenshtein distance of the two orders of segments / the longer one's length."""
    wanted, found = runs(truth)[0], runs(prediction)[0]
    # Row by row; inserting into a row is the running minimum of (value - position).
    position = np.arange(len(found) + 1)
    row = position.copy()
    for index, label in enumerate(wanted, start=1):
        change = np.minimum(row[:-1] + (found != label), row[1:] + 1)
        row = np.minimum.accumulate(np.concatenate([[index], change]) - position) + position
    return 1.0 - row[-1] / max(len(wanted), len(found))


def segment_counts(
    truth: np.ndarray, prediction: np.ndarray, overlap: float
) -> tuple[int, int, int]:
    """Hits, false positives and false negatives of `segment_counts_at` one overlap."""
    hits, false_positives, false_negatives = segment_counts_at(truth, prediction, [overlap])[0]
    return int(hits), int(false_positives), int(false_negatives)


def segment_counts_at(
    truth: np.ndarray, prediction: np.ndarray, overlaps: Sequence[float]
) -> np.ndarray:
    """Hits, false positives and false negatives among a video's segments, int [overlaps, 3].

    A predicted segment is paired with the true segment of its label that it overlaps most
    (intersection over union); it is a hit from an overlap (0..1) on, if no earlier predicted
    segment took the same true one.
    """
    label, start, end = runs(truth)
    best, quality = [], []
    for p_label, p_start, p_end in zip(*runs(prediction), strict=True):
        shared = np.minimum(end, p_end) - np.maximum(start, p_start)
        joined = np.maximum(end, p_end) - np.minimum(start, p_start)
        alike = np.where(label == p_label, np.maximum(shared, 0) / joined, 0.0)
        best.append(int(np.argmax(alike)))
        quality.append(alike[best[-1]])
    counts = []
    for overlap in overlaps:
        near = [k for k, value in zip(best, quality, strict=True) if value >= overlap and value > 0]
        hits = len(set(near))
        counts.append((hits, len(best) - hits, len(label) - hits))
    return np.array(counts)


def segmental_f1(counts: np.ndarray) -> np.ndarray:
    """F1 from (hits, false positives, false negatives) in the last axis, pooled or per video."""
    hits, false_positives, false_negatives = np.moveaxis(np.asarray(counts), -1, 0)
    return divide(2 * hits, 2 * hits + false_positives + false_negatives)
