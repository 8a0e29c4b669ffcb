"""Do bars of a comparison say what the reports say, legibly, and the same each time?"""

import argparse
import copy
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from surgvista_jax.commands import figure_comparison
from surgvista_jax.errors import UserError
from surgvista_jax.figures import printed
from surgvista_jax.figures.bars import Bar, Panel, axis_of, draw_comparison, mark, ticks_of
from surgvista_jax.metrics.named_protocols import find
from surgvista_jax.predictions.reading import ReadingOptions, read_runs
from surgvista_jax.reports.build import System, build_report
from surgvista_jax.studies.collect import collect
from surgvista_jax.studies.drawn import read_report
from surgvista_jax.studies.drawn_bars import comparison
from surgvista_jax.studies.files import write_study_report
from surgvista_jax.studies.report import build_study_report
from tests.support.drawn_text import check_texts, texts
from tests.support.study_folder import make_study

NAMES = ("SurgVISTA", "random", "MVD, Kinetics-400, 400 epochs, ViT-B/16", "<b>$x_1$ 手術</b>")


def panel(number: int, spread: float = 20.0) -> Panel:
    generator = np.random.default_rng(number)
    bars = []
    for k in range(number):
        seeds = 90 - spread * generator.random() + generator.normal(0, 1, 3)
        bars.append(
            Bar(
                NAMES[k % 4] + (f" {k}" if k > 3 else ""),
                float(seeds.mean()) if k != 3 else float("nan"),
                float(seeds.min()) - 1,
                float(seeds.max()) + 1,
                tuple(seeds),
                10.0 ** -(k % 5) if k else float("nan"),
                ours=k == 0,
            )
        )
    return Panel("A dataset with a name that is long, linear probe", "Accuracy (%)", tuple(bars))


@pytest.mark.parametrize(("number", "width"), [(2, "single"), (7, "double"), (24, "single")])
def test_no_texts_run_into_each_other(number: int, width: str) -> None:
    figure = draw_comparison([panel(number), panel(number, 0.1)], "Points: seeds. " * 9, width)
    assert figure.get_size_inches()[0] == pytest.approx(printed.WIDTHS[width])
    figure.set_dpi(100)
    check_texts(figure)
    written = [text for text, _ in texts(figure)]
    assert written.count("SurgVISTA") == 2 and "Accuracy (%)" in " ".join(written)
    assert ("no result" in written) == (number > 3)


def test_texts_are_cut_to_their_width_and_stay_apart() -> None:
    names = ["W" * 60, "short", "W" * 30 + "i" + "W" * 30, "W" * 60 + "W"]
    cut = printed.all_different(names, 1.0)
    assert cut[1] == "short" and len(set(cut)) == 4
    assert all(printed.width_of(text) <= 1.0 for text in cut)
    text = "one two three " * 12 + "W" * 80
    lines = printed.wrapped(text, 2.0)
    assert all(printed.width_of(line, printed.SMALL) <= 2.02 for line in lines)
    assert " ".join(lines).split()[:-1] == text.split()[:-1]
    assert printed.wrapped("word " * 9 + "p\xa0<\xa01", 0.5)[-1].endswith("p\xa0<\xa01")  # together


def test_stars_and_axes() -> None:
    assert [mark(p) for p in (0.0004, 0.004, 0.04, 0.05, float("nan"))] == [
        "***",
        "**",
        "*",
        "n.s.",
        "",
    ]
    assert axis_of([0.2, 90.0])[0] == 0 and axis_of([float("nan")]) == (0.0, 1.0)
    low, high = axis_of([80.0, 90.0])
    assert 70 < low < 80 and 90 < high < 100 and low == round(low, 6)
    for values in ([0.2, 90.0], [80.0, 90.0], [24.0, 61.0], [float("nan")]):
        low, high = axis_of(values)
        ticks = ticks_of(low, high, 5)  # from where the axis begins, and apart
        assert ticks[0] == low and ticks[-1] < high and 3 <= len(ticks) <= 6
        assert min(np.diff(ticks)) > 0.1 * (high - low)
    assert 0.0 in ticks_of(*axis_of([-0.3, 0.4]), 5)


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    folder = make_study(tmp_path_factory.mktemp("study"))
    report = build_study_report(collect(folder), samples=20)
    write_study_report(report, folder / "report", lambda path, aside: None)
    return folder


def run(*words: str) -> None:
    parser = argparse.ArgumentParser()
    figure_comparison.add_arguments(parser)
    figure_comparison.main(parser.parse_args(list(words)))


def test_a_study_is_drawn_the_same_each_time(study: Path, tmp_path: Path, capsys) -> None:
    for name in ("a", "b"):
        run(str(study), f"--out={tmp_path / name}")
    for suffix in printed.SUFFIXES:
        first, second = ((tmp_path / name).with_suffix(suffix).read_bytes() for name in "ab")
        assert first == second and len(first) > 1000
    assert b"/Subtype /Image" not in (tmp_path / "a.pdf").read_bytes()  # lines and letters alone
    assert "a.pdf" in capsys.readouterr().out
    with pytest.raises(UserError, match="no result of the study has a score 'f2'"):
        run(str(study), f"--out={tmp_path / 'c'}", "--score=f2")
    run(str(study), f"--out={tmp_path / 'd.pdf'}", "--family=panel")
    with pytest.raises(UserError, match="says itself what it compares"):
        run(str(study), str(study), f"--out={tmp_path / 'c'}")
    with pytest.raises(UserError, match="a figure is .pdf or .png"):
        run(str(study), f"--out={tmp_path / 'c.svg'}")
    earlier = tmp_path / "report.json"
    earlier.write_text(
        (study / "report/report.json").read_text().replace('"format": 2', '"format": 1')
    )
    with pytest.raises(UserError, match="another version wrote it"):
        run(str(earlier), f"--out={tmp_path / 'c'}")
    (tmp_path / "a.pdf").write_text("mine")
    with pytest.raises(UserError, match="is there already"):
        run(str(study), f"--out={tmp_path / 'a'}")


def test_holm_covers_the_figure_or_each_panel(study: Path) -> None:
    report = read_report(study)
    whole, note = comparison([report])
    apart, other = comparison([report], family="panel")
    assert "Holm over the 4 comparisons of this figure" in note
    assert "Holm over the 4 comparisons in all, those of each panel apart" in other
    assert "too few" not in note
    few = copy.deepcopy(report)
    for test in few["tests"]:
        if test["one_sided"]:
            test["one_sided"]["smallest_p"] = 2.0**-4
    assert "no p can be below 0.25, and so none has a star" in comparison([few])[1]
    assert "no p can be below 0.12, and so none has a star" in comparison([few], family="panel")[1]
    tests = [test for test in report["tests"] if test["main"]]
    for panels, key in ((whole, "holm_study_one_sided"), (apart, "holm_dataset_one_sided")):
        found = [bar.p_value for panel in panels for bar in panel.bars[1:]]
        assert found == pytest.approx([test[key] for test in tests])


def test_each_mark_is_of_the_pair_that_the_note_names(tmp_path: Path) -> None:
    """A bar has one mark, though two ask whether they are better than it."""
    weights = {
        "A-teacher": ("A", True, 0.6),
        "A-alone": ("A", False, 0.6),
        "B-teacher": ("B", True, 0.1),
        "B-alone": ("B", False, 0.3),
    }
    folder = make_study(tmp_path, weights, seeds=1, ours="A-teacher")
    report = build_study_report(collect(folder), samples=20)
    tests = [t for t in report["tests"] if t["main"] and t["theirs"] == "B-alone"]
    assert {test["ours"] for test in tests} == {"A-teacher", "B-teacher"}
    panels, note = comparison([report], family="panel")
    assert "Stars: A-teacher is better than this one" in note and "Holm over the 6 " in note
    assert "B-teacher" not in note
    for panel in panels:
        assert [bar.ours for bar in panel.bars] == [True, False, False, False]
        assert panel.bars[3].p_value == 1  # B-teacher is better than it, A-teacher is not
    report["ours"] = ""  # then the first pair of each, which the note names
    report["tests"] = [test for test in report["tests"] if test["theirs"] == "B-alone"]
    report["tests"].sort(key=lambda test: test["ours"], reverse=True)
    panels, note = comparison([report])
    assert "Stars: B-teacher is better than this one" in note and "Holm over the 2 " in note
    assert all(panel.bars[3].p_value < 0.05 for panel in panels)


def test_what_has_no_result_has_no_mark() -> None:
    bars = Bar("a", 90.0, ours=True), Bar("b", float("nan"), p_value=0.5)
    written = [text for text, _ in texts(draw_comparison([Panel("t", "x", bars)], "note"))]
    assert "no result" in written and "n.s." not in written


def test_bars_of_evaluations_are_tested_over_their_videos(study: Path) -> None:
    reports = []
    for name in ("A-teacher", "A-plain", "random"):
        files = [str(study / f"cells/{name}/near/linear/seed{k}") for k in range(2)]
        runs = read_runs(files, find("phase-strict"), ReadingOptions())
        reports.append(build_report(find("phase-strict"), System(name, runs), samples=20))
    (found,), note = comparison(reports)
    values = [[item["values"]["accuracy"] for item in report["videos"]] for report in reports]
    p_values = [
        stats.wilcoxon(values[0], other, alternative="greater", method="exact").pvalue
        for other in values[1:]
    ]
    assert [bar.p_value for bar in found.bars[1:]] == pytest.approx(
        [2 * min(p_values), max(2 * min(p_values), max(p_values))]
    )
    assert found.bars[0].ours and np.isnan(found.bars[0].p_value)
    assert found.bars[1].seeds == tuple(
        100 * value for value in reports[1]["scores"][0]["seeds"]["values"]
    )
    assert "Holm over the 2 comparisons" in note and "A-teacher is better" in note
    others, apart = reports[:2], copy.deepcopy(reports[:2])  # of which none has a value of both
    for report in apart:
        report["protocol"]["digest"] = "another"  # its own panel
    for at, item in enumerate(zip(*(report["videos"] for report in apart), strict=True)):
        item[at % 2]["values"]["accuracy"] = None
    untested, note = comparison([*apart, *others])
    assert [np.isnan(panel.bars[1].p_value) for panel in untested] == [True, False]
    assert "Panels without marks are not tested" in note and "p\xa0<\xa00.05" in note
    (untested,), note = comparison(apart)
    assert np.isnan(untested.bars[1].p_value) and "Holm" not in note
    (worst,), _ = comparison(reports, ours="random", score="jaccard")
    assert worst.bars[0].p_value == 1 and worst.axis == "Jaccard (%)"
    with pytest.raises(UserError, match="--ours=nobody"):
        comparison(reports, ours="nobody")
    with pytest.raises(UserError, match="two reports are of A-teacher"):
        comparison([reports[0], reports[0]])
