"""Does the report of a study say what its runs say, compare like with like, and tell what lacks?"""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.metrics.intervals import Interval
from surgvista_jax.metrics.named_protocols import find
from surgvista_jax.metrics.statistics import holm
from surgvista_jax.predictions.reading import ReadingOptions, read_runs
from surgvista_jax.reports.build import System, build_report
from surgvista_jax.studies import protocol_facts, statistics, tables
from surgvista_jax.studies.collect import collect
from surgvista_jax.studies.page import study_page
from surgvista_jax.studies.report import build_study_report
from surgvista_jax.studies.summaries import datasets_entries
from tests.support.study_folder import WEIGHTS, make_study


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    return make_study(tmp_path_factory.mktemp("study"))


@pytest.fixture(scope="module")
def report(whole: Path) -> dict:
    return build_study_report(collect(whole), samples=50)


def runs_of(folder: Path, name: str, dataset: str):
    files = [str(folder / f"cells/{name}/{dataset}/linear/seed{k}") for k in range(2)]
    return System(name, read_runs(files, find("phase-strict"), ReadingOptions()))


def test_scores_intervals_and_tests_are_those_of_evaluate(whole: Path, report: dict) -> None:
    ours, theirs = (runs_of(whole, name, "near") for name in ("A-teacher", "A-plain"))
    expected = build_report(find("phase-strict"), ours, [theirs], samples=50)
    (panel,) = (p for p in report["panels"] if p["dataset"] == "near")
    row = next(row for row in panel["rows"] if row["weights"] == "A-teacher")
    main = [entry for entry in expected["scores"] if entry["primary"]]
    assert row["scores"] == {entry["key"]: entry for entry in main}
    for item in expected["comparisons"]:
        (test,) = (
            test
            for test in report["tests"]
            if (test["dataset"], test["theirs"], test["key"]) == ("near", "A-plain", item["key"])
        )
        for key in ("difference", "one_sided", "two_sided"):
            assert test[key] == item[key], key


def test_holm_covers_the_dataset_and_the_study(report: dict) -> None:
    main = [test for test in report["tests"] if test["main"]]
    p_values = np.array([test["one_sided"]["p_value"] for test in main])
    assert len(main) == 4  # two other backbones on two datasets
    found = [test["holm_study_one_sided"] for test in main]
    assert found == pytest.approx(holm(p_values).tolist())
    near = [k for k, test in enumerate(main) if test["dataset"] == "near"]
    found = [main[k]["holm_dataset_one_sided"] for k in near]
    assert found == pytest.approx(holm(p_values[near]).tolist())
    (jaccard,) = {test["key"] for test in report["tests"]} - {"accuracy", "precision", "recall"}
    others = [test for test in report["tests"] if test["key"] == jaccard]
    p_values = np.array([test["one_sided"]["p_value"] for test in others])
    assert [test["holm_study_one_sided"] for test in others] == pytest.approx(
        holm(p_values).tolist()
    )


def test_groups_are_means_over_their_datasets(report: dict) -> None:
    by_group = {entry["group"]: entry for entry in report["groups"]}
    assert list(by_group) == ["internal", "external", ""]
    values = {
        panel["dataset"]: panel["rows"][0]["scores"]["accuracy"]["value"]
        for panel in report["panels"]
    }
    assert by_group["external"]["rows"][0]["value"] == pytest.approx(values["far_away"])
    assert by_group[""]["rows"][0]["value"] == pytest.approx(np.mean(list(values.values())))
    assert by_group[""]["rows"][0]["seeds"]["number"] == 2
    (first, _) = report["over_datasets"]
    assert first["datasets"] == ["near", "far_away"] and first["one_sided"]["p_value"] == 0.25


def test_what_has_no_result_is_told_and_the_rest_is_reported(tmp_path: Path) -> None:
    folder = make_study(tmp_path)
    cells = folder / "cells"
    for seed in range(2):
        shutil.rmtree(cells / f"random/far_away/linear/seed{seed}")
    (cells / "A-plain/near/linear/seed1/result.json").unlink()
    (cells / "random/near/linear/seed1/predictions.npz").write_bytes(b"no file")
    (cells / "A-teacher/far_away/linear/seed0/config.json").write_text("{}")
    found = build_study_report(collect(folder), samples=20)
    why = {entry["cell"]: entry["why"] for entry in found["lacking"]}
    assert found["finished"] == 8 and len(why) == 4
    assert why["random/far_away/linear/seed0"] == "not begun"
    assert why["A-plain/near/linear/seed1"].startswith("begun and not at its end")
    assert "predictions.npz" in why["random/near/linear/seed1"]
    page = study_page(found)
    assert "8 of 12 runs have a result" in page and "0 of 2 seeds" in page
    assert all(name.replace("_", "_<wbr>").replace("/", "/<wbr>") in page for name in why)
    assert any("is the mean of 2 finished seeds, A-plain of 1" in note for note in found["notes"])
    (panel,) = (p for p in found["panels"] if p["dataset"] == "far_away")
    clip = next(item for item in panel["facts"] if item["question"] == "Clip")
    assert clip["answers"] == [
        {"answer": protocol_facts.NOT_RECORDED, "weights": ["A-teacher"]},
        {
            "answer": "8 frames, 2 apart (14 s from first to last), 64 pixels a side",
            "weights": ["A-teacher", "A-plain"],
        },
    ]
    lines = list(csv.DictReader(tables.scores_csv(found).splitlines()))
    (none,) = (line for line in lines if line["value"] == "")
    assert (none["weights"], none["dataset"], none["seeds"]) == ("random", "far_away", "0")
    assert r"80" in tables.scores_latex(found) and r"\textsuperscript{*}" in tables.scores_latex(
        found
    )


def test_what_was_begun_as_another_is_not_averaged_with_the_rest(tmp_path: Path) -> None:
    folder = make_study(tmp_path)
    begun = folder / "definitions/cells"
    (begun / "A-plain/near/linear/seed1.json").write_text('{"command": "another"}')
    (begun / "random/near/linear/seed0.json").unlink()
    found = build_study_report(collect(folder), samples=20)
    why = {entry["cell"]: entry["why"] for entry in found["lacking"]}
    assert found["finished"] == 10 and len(why) == 2
    assert all(said.startswith("stale: ") for said in why.values())
    (near,) = (panel for panel in found["panels"] if panel["dataset"] == "near")
    seeds = {row["weights"]: row["seeds"] for row in near["rows"]}
    assert (seeds["A-plain"], seeds["A-teacher"]) == ([0], [0, 1])


def test_a_study_without_results_or_plan_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="study.json: no such file"):
        collect(tmp_path)
    folder = make_study(tmp_path / "a", seeds=1)
    shutil.rmtree(folder / "cells")
    with pytest.raises(
        UserError, match="none of its 6 cells has a result yet; .*/seed0: not begun"
    ):
        build_study_report(collect(folder))
    (folder / "study.json").write_text(json.dumps({"format": 1, "cells": [{}]}))
    with pytest.raises(UserError, match="is not what `surgvista study` writes"):
        collect(folder)
    (folder / "study.json").write_text(json.dumps({"format": 2}))
    with pytest.raises(UserError, match="'format' is 2"):
        collect(folder)


def test_the_page_stands_alone_and_names_are_text(report: dict) -> None:
    page = study_page(report)
    assert "http" not in page and "<script" not in page
    assert "<title>Made-up backbones &lt;compared&gt;</title>" in page
    assert report["panels"][0]["protocol"]["label"] in page
    assert tables.in_latex("a_b & 5% ± {x}") == r"a\_b \& 5\% $\pm$ \{x\}"
    assert json.dumps(report, allow_nan=False)


def test_the_same_files_give_the_same_report(whole: Path, report: dict) -> None:
    assert build_study_report(collect(whole), samples=50) == report


def study_of(tmp_path: Path, weights: dict, **changes):
    return collect(make_study(tmp_path, weights, seeds=1, **changes))


def test_what_is_compared_follows_from_the_study(tmp_path: Path, whole: Path) -> None:
    def asked(study) -> list[tuple[str, str]]:
        return [(pair.ours, pair.theirs) for pair in statistics.pairs(study)]

    assert asked(collect(whole)) == [("A-teacher", "A-plain"), ("A-teacher", "random")]
    both = {name: WEIGHTS[name] for name in ("A-plain", "A-teacher")}
    both |= {"B-teacher": ("B", True, 0.1), "B-plain": ("B", False, 0.2)}
    study = study_of(tmp_path / "a", both, ours="")
    assert asked(study) == [("A-teacher", "A-plain"), ("B-teacher", "B-plain")]
    amounts = {name: (name, None, 0.1) for name in "ABC"}
    study = study_of(tmp_path / "b", amounts, ours="")
    assert asked(study) == []  # the order of a table is no question
    study = study_of(tmp_path / "c", amounts, ours="", ordered=True)
    assert asked(study) == [("B", "A"), ("C", "B")]
    assert asked(study_of(tmp_path / "d", amounts, ours="B")) == [("B", "A"), ("B", "C")]


def test_h1_is_that_ours_is_better(tmp_path: Path) -> None:
    """Of good and bad weights, the bad are not found better, whichever are named."""
    weights = {"good": ("a", None, 0.1), "bad": ("b", None, 0.6)}
    for number, (ours, better) in enumerate((("good", True), ("bad", False))):
        found = build_study_report(study_of(tmp_path / str(number), weights, ours=ours), samples=20)
        main = [test for test in found["tests"] if test["main"]]
        assert {test["ours"] for test in main} == {ours}
        assert all((test["one_sided"]["p_value"] < 0.05) == better for test in main)
        assert "H1 of each test: ours is better than theirs, one-sided." in study_page(found)


def test_datasets_that_differ_in_the_last_bit_are_no_wins() -> None:
    last_bit = [0.1 + 0.2 - 0.3] * 5
    assert last_bit[0] > 0
    found = statistics.over_datasets([*last_bit, -0.1])
    assert found is not None and (found.num_zeros, found.p_value) == (5, 1.0)
    tests = [
        {"dataset": str(k), "mode": "full", "ours": "a", "theirs": "b", "main": True}
        | {"difference": Interval(value, 0.0, 0.0, 0.95, 20)}
        for k, value in enumerate([*last_bit, -0.1])
    ]
    (entry,) = datasets_entries(tests, [statistics.Pair("a", "b", "")])
    assert entry["better_on"] == 0 and entry["one_sided"]["num_zeros"] == 5
    tests[0]["difference"] = Interval(float("nan"), 0.0, 0.0, 0.95, 20)  # such as of no positive
    (entry,) = datasets_entries(tests, [statistics.Pair("a", "b", "")])
    assert len(entry["datasets"]) == entry["one_sided"]["num_pairs"] == 5


def test_a_dataset_whose_cells_name_no_protocol_lacks_and_hides_no_other(tmp_path: Path) -> None:
    folder = make_study(tmp_path, seeds=1)
    plan = json.loads((folder / "study.json").read_text())
    for cell in plan["cells"]:
        cell["protocol"] = "" if cell["dataset"] == "near" else cell["protocol"]
    (folder / "study.json").write_text(json.dumps(plan))
    found = build_study_report(collect(folder), samples=20)
    assert [panel["dataset"] for panel in found["panels"]] == ["far_away"]
    assert found["finished"] == 3 and {entry["why"] for entry in found["lacking"]} == {
        "its evaluation.protocol is empty: a report scores by one that surgvista has"
    }
    assert "evaluation.protocol is empty" in study_page(found)


def test_a_study_that_asks_nothing_says_how_to_ask(tmp_path: Path) -> None:
    found = build_study_report(study_of(tmp_path, WEIGHTS, ours="", ordered=False), samples=20)
    assert {test["ours"] for test in found["tests"]} == {"A-teacher"}  # with and without teacher
    plain = {name: ("a", None, 0.3) for name in "ab"}
    found = build_study_report(study_of(tmp_path / "b", plain, ours=""), samples=20)
    assert found["tests"] == [] and "no `ours`" in study_page(found)
