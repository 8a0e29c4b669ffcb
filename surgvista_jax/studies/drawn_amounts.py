"""What the figure of amounts of data takes from the report of a study."""

from typing import Any

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.figures.amounts import Amounts
from surgvista_jax.studies.drawn import axis_title, bar, bars_words, is_study, known_scores


def amounts(report: dict[str, Any], score: str = "", second: str = "") -> tuple[list[Amounts], str]:
    """Two scores of each backbone of a study, in the study's order, and the note below them.

    Args:
        score, second: keys; "": the main score of each panel, and the next one that it has.

    Raises:
        UserError: it is no study's report, or holds no two such scores.
    """
    if not is_study(report):
        raise UserError("amounts of data are drawn from the report of a study alone")
    entries = report["weights"]
    settings = [entry["setting"] for entry in entries]
    alone = len(set(settings)) == len(settings)
    names = tuple(settings if alone else [entry["weights"] for entry in entries])
    sizes = tuple(_size(entry["frames"]) for entry in entries)
    panels, units = [], []
    for panel in report["panels"]:
        about = {found["key"]: found for found in panel["scores"]}
        first = score or panel["main"]
        other = second or next((key for key in about if key != first), "")
        if first not in about or other not in about:
            continue
        rows = {row["weights"]: row["scores"] for row in panel["rows"]}
        left, right = (
            tuple(
                bar(e["weights"], rows.get(e["weights"], {}).get(key), float("nan"), True)
                for e in entries
            )
            for key in (first, other)
        )
        titles = axis_title(about[first]), axis_title(about[other])
        title = f"{panel['dataset']}, {panel['mode']}"
        panels.append(Amounts(title, names, sizes, titles, (left, right)))
        units.append(panel["unit"])
    if not panels:
        raise UserError(
            f"no dataset of the study has both scores {score!r} and {second!r}; "
            f"{known_scores(report['panels'])}"
        )
    note = bars_words(units)
    if any(sizes):
        note += " Below: frames that were pretrained on."
    if any(np.isnan(each.value) for panel in panels for bars in panel.bars for each in bars):
        note += " Cross: no result."
    return panels, note


def _size(frames: int | None) -> str:
    """ "86 k" frames, "3.55 M"."""
    if not frames:
        return ""
    for unit, letter in ((1e6, " M"), (1e3, " k")):
        if frames >= unit:
            return f"{frames / unit:.3g}{letter}"
    return str(frames)
