"""Differences of scores between centres, procedures or patients."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.metrics.scores import Score
from surgvista_jax.metrics.statistics import Interval, bootstrap_weights, interval, resample


def group_weights(
    members: np.ndarray, samples: int, seed: int, cluster: np.ndarray | None
) -> np.ndarray:
    """Resamples within a group: [samples, V], zero outside; NaN for a group of one unit."""
    inside = np.flatnonzero(members)
    units = None
    if cluster is not None:
        units = np.unique(cluster[inside], return_inverse=True)[1].ravel()
    weights = np.zeros((samples, len(members)))
    weights[:, inside] = bootstrap_weights(len(inside), samples, seed, units)
    return weights


def group_report(
    scores: Sequence[Score],
    kind: str,
    names: Sequence[str],
    internal: Sequence[str],
    *,
    samples: int,
    seed: int,
    cluster: np.ndarray | None = None,
) -> dict:
    """Scores of each group with intervals and, if `internal` says which groups the model was
    trained on, of internal and external videos and their difference (unpaired draws).

    Args:
        names: the group of each video, [V].
        cluster: int [V], the patient of each video if patients are drawn.
    """
    groups = np.array(names)
    present = sorted(set(names))
    unknown = [name for name in internal if name not in present]
    if unknown:
        raise UserError(f"--internal {unknown[0]}: no such {kind}; there are {', '.join(present)}")
    items = [
        _item(name, groups == name, scores, samples, seed, cluster)
        | {"role": ("internal" if name in internal else "external") if internal else ""}
        for name in present
    ]
    report: dict[str, Any] = {"kind": kind, "items": items}
    inside = np.isin(groups, internal)
    if internal and inside.any() and not inside.all():
        report["roles"] = [
            _item("internal", inside, scores, samples, seed, cluster),
            _item("external", ~inside, scores, samples, seed + 1, cluster),
        ]
        report["gap"] = _gap(inside, scores, samples, seed, cluster)
    return report


def as_dict(found: Interval) -> dict:
    return {"value": found.value, "low": found.low, "high": found.high}


def _item(
    name: str,
    members: np.ndarray,
    scores: Sequence[Score],
    samples: int,
    seed: int,
    cluster: np.ndarray | None,
) -> dict:
    weights = group_weights(members, samples, seed, cluster)
    values = {}
    for score in scores:
        value = score.value(members.astype(np.float64))
        resampled = resample(score.of_weights, weights)
        values[score.key] = as_dict(interval(value, resampled))
    return {"name": name, "videos": int(members.sum()), "scores": values}


def _gap(
    inside: np.ndarray,
    scores: Sequence[Score],
    samples: int,
    seed: int,
    cluster: np.ndarray | None,
) -> dict:
    drawn = [
        group_weights(inside, samples, seed, cluster),
        group_weights(~inside, samples, seed + 1, cluster),
    ]
    gap = {}
    for score in scores:
        sign = 1.0 if score.higher_is_better else -1.0
        value = score.value(inside.astype(float)) - score.value((~inside).astype(float))
        resampled = resample(score.of_weights, drawn[0]) - resample(score.of_weights, drawn[1])
        gap[score.key] = as_dict(interval(sign * value, sign * resampled))
    return gap
