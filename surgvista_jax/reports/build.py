"""The contents of a report: one dictionary from which every rendering is made.

Values are fractions unless a score says percent=False; NaN becomes null when written as JSON.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from surgvista_jax import __version__
from surgvista_jax.errors import UserError
from surgvista_jax.metrics.averaging import nanmean
from surgvista_jax.metrics.intervals import LEVEL, Draws, draw, interval
from surgvista_jax.metrics.protocols import Protocol
from surgvista_jax.metrics.scores import Score, mean_over_runs
from surgvista_jax.metrics.statistics import over_seeds
from surgvista_jax.predictions.frames import Predictions
from surgvista_jax.reports.comparison import adjusted, check_same_frames, compare
from surgvista_jax.reports.evaluation import Evaluation
from surgvista_jax.reports.grouping import group_report
from surgvista_jax.reports.judged import judge
from surgvista_jax.reports.mistakes import mistakes
from surgvista_jax.reports.ribbons import ribbons, timelines
from surgvista_jax.reports.scoring import evaluate_run

FORMAT = 1
TIMELINES = 3  # worst and best videos shown, each


@dataclass(frozen=True)
class System:
    """One model: repeated runs over the same frames."""

    name: str
    runs: list[Predictions]


@dataclass(frozen=True)
class Grouping:
    """Which group each video is in; `patient` also becomes the unit that is drawn and paired."""

    kind: str
    names: list[str]
    internal: tuple[str, ...] = ()


def build_report(
    protocol: Protocol,
    system: System,
    baselines: Sequence[System] = (),
    grouping: Grouping | None = None,
    *,
    samples: int = 1000,
    seed: int = 0,
) -> dict:
    """Scores a system, and its baselines on the same frames, into one dictionary."""
    first = system.runs[0]
    for other in [*system.runs[1:], *(run for base in baselines for run in base.runs)]:
        check_same_frames(first, other)
    cluster = _cluster(grouping)
    draws = draw(len(first.videos), samples, seed, cluster=cluster)
    evaluations = [evaluate_run(run, protocol) for run in system.runs]
    scores = mean_scores(evaluations)
    shown = [score for score in scores if score.key in protocol.primary]
    comparisons = []
    for base in baselines:
        of_base = mean_scores([evaluate_run(run, protocol) for run in base.runs])
        theirs = {score.key: score for score in of_base}
        for score in shown:
            if score.key in theirs:
                comparisons.append(compare(base.name, score, theirs[score.key], draws, cluster))
    entries = [score_entry(score, evaluations, draws, protocol) for score in scores]
    ranked = next((score for score in shown if score.per_video is not None), None)
    judged = [
        (item.name, run)
        for item in (system, *baselines)
        if (run := judge(item.runs[0], protocol)) is not None
    ]
    values = None if ranked is None else ranked.per_video
    title = None if ranked is None else ranked.title
    report = {
        "format": FORMAT,
        "made_by": f"surgvista_jax {__version__}",
        "protocol": protocol_entry(protocol),
        "system": _system(system),
        "baselines": [_system(base) for base in baselines],
        "split": protocol.recognise_split(first.videos, len(first.frame)),
        "num_videos": len(first.videos),
        "num_frames": len(first.frame),
        "unit": "video" if cluster is None else "patient",
        "num_units": draws.counts.shape[1],
        "bootstrap": {"samples": samples, "seed": seed, "level": LEVEL},
        "scores": entries,
        "tables": _tables(evaluations),
        "confusion": _confusion(evaluations, first),
        "reliability": evaluations[0].reliability,
        "videos": _videos(first, shown, None if cluster is None else grouping),
        "timelines": None
        if protocol.task != "phase" or values is None or not judged
        else timelines(judged[0][1], str(title), values, TIMELINES),
        "ribbons": ribbons(judged, title, values) if judged else None,
        "mistakes": mistakes(judged[0][1]) if judged else None,
        "comparisons": [asdict(item) for item in adjusted(comparisons)],
        "notes": _notes(system, evaluations, entries),
    }
    if grouping is not None:
        report["groups"] = group_report(
            shown,
            grouping.kind,
            grouping.names,
            grouping.internal,
            samples=samples,
            seed=seed,
            cluster=cluster,
        )
    return plain(report)


def plain(value: Any) -> Any:
    """The same structure of dict, list, str, int, float, bool and None; NaN and inf are None."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _cluster(grouping: Grouping | None) -> np.ndarray | None:
    if grouping is None or grouping.kind != "patient":
        return None
    return np.unique(grouping.names, return_inverse=True)[1].ravel()


def mean_scores(evaluations: list[Evaluation]) -> list[Score]:
    """Each score as its mean over runs."""
    keys = [score.key for score in evaluations[0].scores]
    for other in evaluations[1:]:
        if [score.key for score in other.scores] != keys:
            raise UserError("runs of one system must all hold scores, or all decisions alone")
    return [mean_over_runs([item.score(key) for item in evaluations]) for key in keys]


def protocol_entry(protocol: Protocol) -> dict:
    """What a report says of its protocol."""
    return {
        "name": protocol.name,
        "version": protocol.version,
        "digest": protocol.digest,
        "label": protocol.label,
        "task": protocol.published_task,
        "fps": protocol.fps,
        "choices": asdict(protocol.choices),
        "primary": protocol.primary,
        "text": protocol.text.strip(),
    }


def _system(system: System) -> dict:
    return {
        "name": system.name,
        "runs": [
            {
                "source": run.source,
                "files": [{"path": path, "sha256": digest} for path, digest in run.files],
                "frames": len(run.frame),
                "meta": run.meta or {},
            }
            for run in system.runs
        ],
    }


def score_entry(
    score: Score, evaluations: list[Evaluation], draws: Draws, protocol: Protocol
) -> dict:
    """A score with its interval over what is drawn and, of several runs, its spread over them."""
    found = interval(score.of_weights, draws, score.bounds)
    entry = {
        "key": score.key,
        "title": score.title,
        "section": "" if score.key in protocol.primary else score.section or "More",
        "primary": score.key in protocol.primary,
        "percent": score.percent,
        "higher_is_better": score.higher_is_better,
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "resamples": found.samples,
        **score.spreads(),
    }
    if len(evaluations) > 1:
        ones = np.ones(len(draws.unit))
        values = [item.score(score.key).value(ones) for item in evaluations]
        mean, spread, number = over_seeds(np.array(values))
        entry["seeds"] = {"mean": mean, "std": spread, "number": number, "values": values}
    return entry


def _tables(evaluations: list[Evaluation]) -> list[dict]:
    tables = []
    for index, table in enumerate(evaluations[0].tables):
        columns = {
            name: nanmean(
                np.stack([np.asarray(e.tables[index].columns[name], float) for e in evaluations]), 0
            )
            for name in table.columns
        }
        tables.append(asdict(table) | {"columns": columns})
    return tables


def _confusion(evaluations: list[Evaluation], first: Predictions) -> dict | None:
    of_runs = [item.confusions for item in evaluations if item.confusions is not None]
    if not of_runs:
        return None
    counts = sum(confusions.sum(0) for confusions in of_runs)
    return {"classes": first.classes, "counts": counts, "runs": len(evaluations)}


def _videos(first: Predictions, shown: list[Score], patients: Grouping | None) -> list[dict]:
    frames = np.bincount(first.video_index, minlength=len(first.videos))
    return [
        {
            "video": video,
            "frames": frames[index],
            "values": {
                score.key: score.per_video[index] for score in shown if score.per_video is not None
            },
        }
        | ({"group": patients.names[index]} if patients else {})
        for index, video in enumerate(first.videos)
    ]


def _notes(system: System, evaluations: list[Evaluation], entries: list[dict]) -> list[str]:
    notes = [note for run in system.runs for note in run.notes]
    if any((run.meta or {}).get("selected_on") == "test" for run in system.runs):
        notes.insert(
            0,
            "SELECTED ON TEST: the parameters were chosen by their score on these very videos, so "
            "that the scores are too high; compare only with publications that did the same.",
        )
    notes += evaluations[0].notes
    if len(evaluations) > 1:
        notes.append(
            f"{len(evaluations)} runs: scores, intervals and tests use the mean over runs; "
            "ribbons, mistakes and the reliability diagram show the first run."
        )
    for entry in entries:
        if entry["value"] < entry["low"] - 1e-9 or entry["value"] > entry["high"] + 1e-9:
            notes.append(
                f"{entry['title']} lies outside its interval: drawing videos with replacement "
                "shifts this score, and the interval is set back by that shift."
            )
    alike = [e["title"] for e in entries if e["low"] == e["high"] == e["value"]]
    if alike:
        notes.append(
            f"{', '.join(alike)}: no video makes a difference, so that the interval has no width, "
            "which says nothing of other videos."
        )
    return list(dict.fromkeys(notes))
