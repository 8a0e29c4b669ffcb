"""Does each part of a report (a comparison, groups, charts, words) say what it should?"""

import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.metrics.intervals import draw
from surgvista_jax.metrics.scores import mean_of_videos
from surgvista_jax.reports import charts, comparison, page, page_tables, words
from surgvista_jax.reports.build import plain
from surgvista_jax.reports.grouping import group_report


def test_lower_is_better_turns_the_sign() -> None:
    values = np.array([0.1, 0.2, 0.3])
    ours = mean_of_videos("ece", "ECE", values, higher_is_better=False)
    theirs = mean_of_videos("ece", "ECE", values + 0.1, higher_is_better=False)
    found = comparison.compare("b", ours, theirs, draw(3, 20, 0), None)
    assert found.difference.value == pytest.approx(0.1)
    assert found.one_sided.p_value == 1 / 8


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
    short, long = (charts.forest([row], 0, 1, ("0", "1")) for row in rows)
    assert 'height="58"' in short and 'height="74"' in long
    both = charts.forest(
        rows, 0, 1, ("0", "1")
    )  # rows are alike, so that none seems to matter more
    assert 'height="130"' in both and 'cy="42"' in both and 'cy="98"' in both
    assert charts.dots(["a"] * 50, [1.0] * 50, 0.0, "piled") == ""
    assert charts.colour(0) == charts.colour(len(charts.COLOURS))
    assert page_tables.breakable("CalotTriangle<x>") == "Calot<wbr>Triangle&lt;x&gt;"
    assert words.p_value(0.03125) == "0.0312" and words.p_value(1e-9) == "1.0e-09"
    assert words.number(None) == "–" and words.signed(-0.01) == "-1.00"
    assert plain({"a": np.array([np.nan, 1.0]), "b": (np.int64(2), float("inf"))}) == {
        "a": [None, 1.0],
        "b": [2, None],
    }
