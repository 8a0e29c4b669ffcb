"""Differences of scores between centres, procedures or patients."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.metrics.intervals import Interval, draw, interval
from surgvista_jax.metrics.scores import Score, gain


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
    stratum = np.where(members, 0, -1)
    draws = draw(len(members), samples, seed, cluster=cluster, stratum=stratum)
    values = {
        score.key: as_dict(interval(score.of_weights, draws, score.bounds)) for score in scores
    }
    return {"name": name, "videos": int(members.sum()), "scores": values}


def _gap(
    inside: np.ndarray,
    scores: Sequence[Score],
    samples: int,
    seed: int,
    cluster: np.ndarray | None,
) -> dict:
    """Internal minus external videos, drawn apart."""
    draws = draw(len(inside), samples, seed, cluster=cluster, stratum=(~inside).astype(np.int64))
    gap = {}
    for score in scores:
        difference, bounds = gain(_within(score, inside), _within(score, ~inside))
        gap[score.key] = as_dict(interval(difference, draws, bounds))
    return gap


def _within(score: Score, members: np.ndarray) -> Score:
    """A score of some of the videos."""
    return replace(score, of_weights=lambda weights: score.of_weights(weights * members))
