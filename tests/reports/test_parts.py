"""Does each part of a report (a comparison, groups, charts, words) say what it should?"""

import re
from dataclasses import asdict

import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.metrics.intervals import draw
from surgvista_jax.metrics.scores import mean_of_videos
from surgvista_jax.reports import (
    charts,
    comparison,
    markdown,
    page,
    page_tables,
    screen,
    words,
)
from surgvista_jax.reports.build import plain
from surgvista_jax.reports.grouping import group_report
from surgvista_jax.reports.names import names_of_systems, with_mode


def test_lower_is_better_turns_the_sign() -> None:
    values = np.array([0.1, 0.2, 0.3])
    ours = mean_of_videos("ece", "ECE", values, higher_is_better=False)
    theirs = mean_of_videos("ece", "ECE", values + 0.1, higher_is_better=False)
    found = comparison.compare("b", ours, theirs, draw(3, 20, 0), None)
    assert found.difference.value == pytest.approx(0.1)
    assert found.one_sided.p_value == 1 / 8


def test_models_without_a_common_video_are_not_tested() -> None:
    """A p of 1 without a pair would be one more test in Holm's family."""
    half = np.array([0.5, 0.6, 0.7, np.nan, np.nan, np.nan])
    ours = [mean_of_videos(key, key, half) for key in ("a", "b")]
    theirs = [mean_of_videos("a", "a", half[::-1]), mean_of_videos("b", "b", half - 0.1)]
    draws = draw(6, 20, 0)
    none, tested = comparison.adjusted(
        [comparison.compare("base", *pair, draws, None) for pair in zip(ours, theirs, strict=True)]
    )
    assert none.one_sided is None and none.two_sided is None
    assert none.untested == "no common videos" and np.isnan(none.holm_one_sided)
    assert tested.holm_one_sided == tested.one_sided.p_value == 1 / 8 and tested.untested == ""
    report = {
        "comparisons": [plain(asdict(none))],
        "baselines": [{"name": "base"}],
        "unit": "video",
    }
    for text in (
        page_tables.comparison_section(report),
        screen.comparison_table(report),
        "".join(markdown._comparisons(report)),
    ):
        assert text.count("no common videos") == 2


def test_groups_and_the_gap_between_internal_and_external() -> None:
    score = mean_of_videos("accuracy", "Accuracy", np.array([0.9, 0.8, 0.5, 0.6, 0.7]))
    names = ["Bern", "Bern", "Milan", "Milan", "Oslo"]
    found = group_report([score], "centre", names, ["Bern"], samples=200, seed=0)
    values = {item["name"]: item["scores"]["accuracy"] for item in found["items"]}
    assert values["Bern"]["value"] == pytest.approx(0.85) and values["Milan"]["low"] < 0.5
    assert np.isnan(values["Oslo"]["low"])  # one video has no interval
    assert [item["role"] for item in found["items"]] == ["internal", "external", "external"]
    assert found["gap"]["accuracy"]["value"] == pytest.approx(0.25)
    assert found["gap"]["accuracy"]["low"] < 0.25 < found["gap"]["accuracy"]["high"]
    # Groups alike are drawn apart, so their difference is uncertain, not zero.
    alike = mean_of_videos("accuracy", "Accuracy", np.tile([0.5, 0.6, 0.9], 2))
    gap = group_report([alike], "centre", list("aaabbb"), ["a"], samples=200, seed=0)["gap"]
    assert gap["accuracy"]["value"] == 0 and gap["accuracy"]["low"] < -0.1
    with pytest.raises(UserError, match="--internal Rome: no such centre"):
        group_report([score], "centre", names, ["Rome"], samples=9, seed=0)


def test_a_page_of_videos_without_any_value_has_no_dots() -> None:
    """As where no frame holds any of the instruments."""
    score = {"key": "mean_ap", "title": "mAP", "percent": True, "higher_is_better": True}
    videos = [{"video": name, "frames": 3, "values": {"mean_ap": None}} for name in ("a", "b")]
    text = page._videos({"scores": [score | {"primary": True}], "videos": videos})
    assert "one dot a video" not in text and "<td" in text


def test_pieces_of_the_page() -> None:
    rows = [("A" * n, {"value": 0.5, "low": 0.4, "high": 0.6}, "text") for n in (5, 60)]
    unit = charts.Scale(0.0, 1.0)
    short, long = (charts.forest([row], unit, ("0", "1")) for row in rows)
    assert 'height="58"' in short and 'height="74"' in long
    both = charts.forest(
        rows, unit, ("0", "1")
    )  # rows are alike, so that none seems to matter more
    assert 'height="130"' in both and 'cy="42"' in both and 'cy="98"' in both
    assert charts.dots(["a"] * 50, [1.0] * 50, 0.0, "piled") == ""
    assert page_tables.breakable("CalotTriangle<x>") == "Calot<wbr>Triangle&lt;x&gt;"
    assert words.p_value(0.03125) == "0.0312" and words.p_value(1e-9) == "1.0e-09"
    assert words.number(None) == "–" and words.signed(-0.01) == "-1.00"
    assert plain({"a": np.array([np.nan, 1.0]), "b": (np.int64(2), float("inf"))}) == {
        "a": [None, 1.0],
        "b": [2, None],
    }


def test_points_and_intervals_share_a_scale_up_to_its_edges() -> None:
    # A point outside its interval widens the scale instead of being drawn at the interval's end.
    shifted = {"value": 0.5, "low": 0.6, "high": 0.8}
    scale = charts.scale_of([shifted], (0.0, 1.0))
    assert scale.low < 0.5 and scale.share(0.5) < scale.share(0.6) < scale.share(0.8) <= 1
    # No scale of shares goes on beyond all or nothing; differences always hold 0.
    perfect = charts.scale_of([{"value": 1.0, "low": 0.9, "high": 1.0}], (0.0, 1.0))
    assert perfect.high == 1.0 and perfect.low == pytest.approx(0.895)
    assert charts.scale_of([shifted], (-1.0, 1.0), zero=True).low < 0
    nothing = charts.scale_of([{"value": None, "low": None, "high": None}], (0.0, 1.0))
    assert (nothing.low, nothing.high) == (0.0, 1.0)
    # Dots lie where the ticks of their values are, at the edges too.
    dots = re.findall(r'<circle cx="([^"]+)"', charts.dots(list("abc"), [0.2, 0.6, 1.0], 0.2, ""))
    assert dots == ["0.00%", "50.00%", "100.00%"]


def test_a_wide_table_says_on_a_phone_that_it_scrolls() -> None:
    wide = page_tables.html_table(list("abcde"), [["1"] * 5])
    assert 'class="hint wide"' in wide and 'tabindex="0"' in wide
    assert "hint" not in page_tables.html_table(list("abc"), [["1"] * 3])
    numbers = [["A", "<b>48.47 ± 0.87</b>", "35.54 ± 0.46<br>2 of 3 seeds"]]
    assert "hint" not in page_tables.html_table(["Backbone", "near", "far"], numbers)
    header = ["Backbone", "made-up-phase", "made-up-tool"]  # which are wider than the numbers
    assert "hint" in page_tables.html_table(header, numbers)
    named = page_tables.html_table(["a", "b"], [["1", '<td class="names">x</td>']])
    assert '<th>a</th><th class="names">b</th>' in named  # as what is below it
    assert "hint" not in page_tables.html_table(list("abcdefgh"), [["1"] * 8], "matrix")


def test_zeros_of_a_matrix_are_zeros_and_little_is_not_nothing() -> None:
    counts = [[996, 4, 0], [0, 0, 0], [0, 0, 5]]
    text = page_tables.confusion_matrix({"classes": list("abc"), "counts": counts, "runs": 1})
    cells = re.findall(r"<td[^>]*title[^>]*>([^<]*|&lt;1|<1)</td>", text)
    assert cells == ["100", "&lt;1", "0", "–", "–", "–", "0", "0", "100"]


@pytest.mark.parametrize(
    ("systems", "names"),
    [
        ([["A/seed0", "A/seed1"]], ["A"]),
        ([["A/full/seed0", "A/full/seed1"], ["A/linear/seed0"]], ["full", "linear/seed0"]),
        ([["A/full/seed0"], ["A/full/seed1"]], ["full/seed0", "full/seed1"]),
        ([["x/seed0.npz", "x/seed1.npz"]], ["x"]),
        ([["vit_seed0.npz", "vit_seed1.npz"]], ["vit"]),
        ([["m/predictions.npz"], ["n/pred.txt.gz"], ["o/predictions"]], ["m", "n", "o"]),
        ([["e/a/predictions.npz"], ["f/a/predictions.npz"]], ["e/a", "f/a"]),
        ([["A/seed0", "A/seed1"], ["A/seed2"]], ["A", "A/seed2"]),
        (
            [["A/seed0", "A/seed1"], ["A/seed2", "A/seed3"]],
            ["A/seed0 + A/seed1", "A/seed2 + A/seed3"],
        ),
        ([[f"{name}.npz" for name in "abcde"]], ["a + b + c + 2 more"]),
    ],
)
def test_names_tell_runs_apart_by_folder(systems: list, names: list) -> None:
    assert names_of_systems(systems) == names


def test_cells_are_called_as_their_study_calls_them_and_those_of_two_are_not_one(tmp_path) -> None:
    def run(study: str, weights: str, seed: int) -> str:
        return str(tmp_path / study / "cells" / weights / "near" / "full" / f"seed{seed}")

    for study in ("one", "two", "far/two"):
        (tmp_path / study).mkdir(parents=True)
        (tmp_path / study / "study.json").touch()
    seeds = [run("one", "A", 0), run("one", "A", 1)]
    assert names_of_systems([seeds[:1], [run("one", "B", 0)]]) == ["A", "B"]
    assert names_of_systems([seeds, [run("two", "A", 0)]]) == [
        "one, A, seeds 0, 1",
        "two, A, seed 0",
    ]
    # One name of two studies may mean two things.
    (pooled,) = names_of_systems([[run("one", "A", 0), run("two", "A", 1)]])
    assert "one/cells/A" in pooled and "two/cells/A" in pooled
    apart = names_of_systems([[run("two", "A", 0)], [run("far/two", "A", 0)]])
    assert len(set(apart)) == 2 and "far/two" in apart[1]


def test_names_tell_how_runs_were_trained() -> None:
    assert with_mode("A", [{"mode": "full"}, {"mode": "full"}]) == "A (full finetuning)"
    assert with_mode("A", [{"mode": "linear"}, {"mode": "new"}]) == "A (linear probe and new)"
    assert with_mode("A", [None, {"mode": 3}, {}]) == "A"
