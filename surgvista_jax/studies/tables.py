"""A study's report as tables for other programs (CSV) and for a paper (LaTeX)."""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from surgvista_jax.reports.names import visible
from surgvista_jax.reports.words import title_of
from surgvista_jax.studies.words import NONE, best_rows, with_spread

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "±": r"$\pm$",
    NONE: "--",
}


def scores_csv(report: dict[str, Any]) -> str:
    """One line for each score of each backbone, dataset and mode; cells without a result too."""
    header = ["dataset", "group", "mode", "protocol", "digest", "weights", "score", "main", "value"]
    header += ["low", "high", "std_over_videos", "seeds", "std_over_seeds", "seeds_planned"]
    header += ["values_of_seeds", "averaging", "unit", "units"]
    rows = []
    for panel in report["panels"]:
        protocol = panel["protocol"]
        about = [panel["dataset"], panel["group"], panel["mode"]]
        about += [protocol["name"], protocol["digest"]]
        for row in panel["rows"]:
            if not row["scores"]:
                planned = len(row["seeds_planned"])
                rows.append([*about, row["weights"], *[""] * 6, 0, "", planned, *[""] * 4])
            for score in panel["scores"]:
                found = row["scores"].get(score["key"])
                if found is None:
                    continue
                seeds = found.get("seeds") or {"std": None, "values": [found["value"]]}
                rows.append(
                    [*about, row["weights"], score["key"], int(score["key"] == panel["main"])]
                    + [found["value"], found["low"], found["high"], found.get("std_over_videos")]
                    + [len(row["seeds"]), seeds["std"], len(row["seeds_planned"])]
                    + [" ".join(map(repr, seeds["values"])), score["averaging"]]
                    + [panel["unit"], panel["num_units"]]
                )
    return _csv(header, rows)


def tests_csv(report: dict[str, Any]) -> str:
    """One line for each comparison."""
    header = ["dataset", "group", "mode", "ours", "theirs", "score", "main", "value_ours"]
    header += ["value_theirs", "difference", "low", "high", "unit", "pairs", "zeros"]
    header += ["p_one_sided"]
    header += ["holm_dataset_one_sided", "holm_study_one_sided", "p_two_sided"]
    header += ["holm_dataset_two_sided", "holm_study_two_sided", "rank_biserial", "untested"]
    rows = []
    for test in report["tests"]:
        one, two, found = test["one_sided"] or {}, test["two_sided"] or {}, test["difference"]
        rows.append(
            [test[key] for key in ("dataset", "group", "mode", "ours", "theirs", "key")]
            + [int(test["main"]), test["value_ours"], test["value_theirs"]]
            + [found["value"], found["low"], found["high"]]
            + [test["unit"], one.get("num_pairs"), one.get("num_zeros"), one.get("p_value")]
            + [test["holm_dataset_one_sided"], test["holm_study_one_sided"], two.get("p_value")]
            + [test["holm_dataset_two_sided"], test["holm_study_two_sided"]]
            + [one.get("rank_biserial"), test["untested"]]
        )
    return _csv(header, rows)


def scores_latex(report: dict[str, Any]) -> str:
    """A table for each mode: backbones by datasets, main scores with their spread over seeds."""
    parts = []
    for mode in dict.fromkeys(panel["mode"] for panel in report["panels"]):
        panels = [panel for panel in report["panels"] if panel["mode"] == mode]
        titles = []
        for panel in panels:
            main = next((s for s in panel["scores"] if s["key"] == panel["main"]), None)
            titles.append(title_of(main) if main else NONE)
        lines = [
            f"% {report['study']}, {mode}, digest {report['digest'][:16]}; "
            f"{report['finished']} of {report['planned']} runs",
            r"\begin{tabular}{l" + "c" * len(panels) + "}",
            r"\hline",
            _row(["", *(panel["dataset"] for panel in panels)]),
            _row(["Backbone", *titles]),
            r"\hline",
        ]
        for name in (entry["weights"] for entry in report["weights"]):
            cells = [in_latex(name)]
            for panel in panels:
                row = next((row for row in panel["rows"] if row["weights"] == name), None)
                words = in_latex(with_spread(row["scores"].get(panel["main"]) if row else None))
                best = panel["main"] and name in best_rows(panel, panel["main"])
                missing = row is not None and len(row["seeds"]) < len(row["seeds_planned"])
                mark = r"\textsuperscript{*}" if missing and row and row["seeds"] else ""
                cells.append((rf"\textbf{{{words}}}" if best else words) + mark)
            lines.append(" & ".join(cells) + r" \\")
        lines += [r"\hline", r"\end{tabular}", "% *: some planned seeds have no result", ""]
        parts.append("\n".join(lines))
    return "\n".join(parts)


def in_latex(text: str) -> str:
    """Text that LaTeX prints as it stands."""
    return "".join(_SPECIAL.get(letter, letter) for letter in visible(text))


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(in_latex, cells)) + r" \\"


def _csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
    return file.getvalue()
