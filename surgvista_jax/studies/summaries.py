"""A study over all its datasets: pairs of backbones, and means of groups of datasets."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from surgvista_jax.metrics.statistics import over_seeds, without_last_bits
from surgvista_jax.studies.statistics import Pair, holm_by, over_datasets


def datasets_entries(tests: Sequence[dict], asked: Sequence[Pair]) -> list[dict[str, Any]]:
    """Each pair over all datasets of a mode, by the datasets' main scores."""
    found: list[dict[str, Any]] = []
    modes = dict.fromkeys(test["mode"] for test in tests)
    for mode in modes:
        for pair in asked:
            values = {
                test["dataset"]: test["difference"].value
                for test in tests
                if test["main"]
                and not np.isnan(test["difference"].value)
                and (test["mode"], test["ours"], test["theirs"]) == (mode, pair.ours, pair.theirs)
            }
            result = over_datasets(list(values.values()))
            if result is None:
                continue
            found.append(
                {
                    "mode": mode,
                    "ours": pair.ours,
                    "theirs": pair.theirs,
                    "datasets": list(values),
                    "better_on": int((without_last_bits(list(values.values())) > 0).sum()),
                    "mean": float(np.mean(list(values.values()))),
                    "one_sided": result,
                }
            )
    holm_by(found, lambda test: "", "holm_study_one_sided")
    return [entry | {"one_sided": asdict(entry["one_sided"])} for entry in found]


def groups_entries(
    panels: Sequence[dict[str, Any]], weights: Sequence[str]
) -> list[dict[str, Any]]:
    """Means of main scores over the datasets of a group, of each backbone and mode.

    All datasets together are the group "". Spread over seeds where every dataset has the same.

    Args:
        panels: entries of the report.
    """
    found = []
    named = dict.fromkeys(panel["group"] for panel in panels if panel["group"])
    for mode in dict.fromkeys(panel["mode"] for panel in panels):
        of_mode = [panel for panel in panels if panel["mode"] == mode]
        for group in (*named, ""):
            members = [panel for panel in of_mode if not group or panel["group"] == group]
            if not members or (not group and len(members) < 2):
                continue
            rows = [_group_row(name, members) for name in weights]
            found.append({"mode": mode, "group": group, "datasets": len(members), "rows": rows})
    return found


def _group_row(name: str, members: Sequence[dict[str, Any]]) -> dict[str, Any]:
    values, of_seeds = [], []
    for panel in members:
        for of_panel in panel["rows"]:
            found = of_panel["scores"].get(panel["main"])
            if of_panel["weights"] == name and found is not None:
                values.append(found["value"])
                seeds = found["seeds"]["values"] if "seeds" in found else [found["value"]]
                of_seeds.append(dict(zip(of_panel["seeds"], seeds, strict=True)))
    row: dict[str, Any] = {"weights": name, "datasets": len(values), "value": None, "seeds": None}
    if len(values) == len(members):
        row["value"] = float(np.mean(values))
        shared = sorted(of_seeds[0])
        if len(shared) > 1 and all(sorted(seeds) == shared for seeds in of_seeds):
            means = [np.mean([seeds[k] for seeds in of_seeds]) for k in shared]
            mean, spread, number = over_seeds(np.array(means))
            row["seeds"] = {"mean": mean, "std": spread, "number": number, "values": means}
    return row
