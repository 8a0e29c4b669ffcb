"""The tests of a study on its page: who is better, on each dataset and over all of them."""

from collections.abc import Sequence
from html import escape

from surgvista_jax.reports import charts
from surgvista_jax.reports.page_tables import breakable, html_table
from surgvista_jax.reports.words import number, p_of, signed, span
from surgvista_jax.studies.words import NONE, effect, how_tested, mode_words, p_words

OPEN = 4  # datasets and modes whose tables are shown without being asked for


def folded(title: str, inner: str) -> str:
    """HTML that is shown when its title is clicked."""
    return f"<details><summary>{escape(title)}</summary>{inner}</details>"


def tests_section(report: dict) -> str:
    """Differences of each dataset and mode on one scale, and the tests below them."""
    if not report["tests"]:
        return (
            '<p class="soft">None: the study names no `ours` to be held against the others, or no '
            "two backbones that it compares have results on the same videos yet.</p>"
        )
    parts = []
    for panel in report["panels"]:
        here = [
            test
            for test in report["tests"]
            if (test["dataset"], test["mode"]) == (panel["dataset"], panel["mode"])
        ]
        if not here:
            continue
        parts.append(f"<h3>{escape(panel['dataset'])}, {escape(mode_words(panel['mode']))}</h3>")
        main = [test for test in here if test["main"]]
        parts.append(_forest(main))
        table = _test_table(main)
        parts.append(folded("Tests", table) if len(report["panels"]) > OPEN else table)
        if others := [test for test in here if not test["main"]]:
            parts.append(folded("Further scores", _test_table(others)))
    return "".join(parts) + f'<p class="soft" style="margin-top:12px">{how_tested(report)}</p>'


def _forest(tests: Sequence[dict]) -> str:
    if not tests:
        return ""
    percent = tests[0]["percent"]
    rows = [
        (
            f"{test['ours']} – {test['theirs']}",
            test["difference"],
            f"{signed(test['difference']['value'], percent)} "
            f"({span(test['difference'], percent, signed)})",
        )
        for test in tests
    ]
    scale = charts.scale_of([test["difference"] for test in tests], (-1.0, 1.0), zero=True)
    unit = "percentage points" if percent else "difference"
    return (
        f'<p class="soft">{escape(tests[0]["title"])}: {unit}, right of 0 the first is better; '
        "bars: 95 % intervals.</p>"
        + charts.forest(rows, scale, (signed(scale.low, percent), signed(scale.high, percent)))
    )


def _test_table(tests: Sequence[dict]) -> str:
    header = ["Ours against theirs", "Score", "Ours", "Theirs", "p one-sided"]
    header += ["Holm, dataset", "Holm, study", "Effect", "Pairs"]
    rows = []
    for test in tests:
        one = test["one_sided"]
        rows.append(
            [
                f"{breakable(test['ours'])} – {breakable(test['theirs'])}",
                f'<td class="names">{escape(test["title"])}</td>',
                number(test["value_ours"], test["percent"]),
                number(test["value_theirs"], test["percent"]),
                p_of(test, "one_sided"),
                p_words(one, test["holm_dataset_one_sided"]),
                f"<b>{p_words(one, test['holm_study_one_sided'])}</b>",
                effect(one),
                str(one["num_pairs"]) if one else NONE,
            ]
        )
    return html_table(header, rows)


def over_datasets_section(report: dict) -> str:
    """Tests whose pairs are datasets; nothing where there are too few."""
    if not report["over_datasets"]:
        return ""
    header = ["Ours against theirs", "Mode", "Datasets", "Better on", "Mean difference"]
    header += ["p one-sided", "Holm", "Effect"]
    rows = [
        [
            f"{breakable(entry['ours'])} – {breakable(entry['theirs'])}",
            f'<td class="names">{escape(mode_words(entry["mode"]))}</td>',
            str(len(entry["datasets"])),
            str(entry["better_on"]),
            signed(entry["mean"]),
            p_words(entry["one_sided"], entry["one_sided"]["p_value"]),
            f"<b>{p_words(entry['one_sided'], entry['holm_study_one_sided'])}</b>",
            effect(entry["one_sided"]),
        ]
        for entry in report["over_datasets"]
    ]
    fewest = min(len(entry["datasets"]) for entry in report["over_datasets"])
    words = (
        "Here the pairs are datasets, each counting once by its main score, so that differences of "
        f"unlike scores are ranked together; {fewest} datasets cannot give a p below "
        f"{2.0**-fewest:.3g}."
    )
    return html_table(header, rows) + f'<p class="soft" style="margin-top:8px">{words}</p>'
