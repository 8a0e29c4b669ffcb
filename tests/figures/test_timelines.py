"""Do timelines and confusions for print show what the reports hold, without texts in the way?"""

import argparse
import shutil
from pathlib import Path

import numpy as np
import pytest

from surgvista_jax.commands import figure_confusion, figure_timeline
from surgvista_jax.errors import UserError
from surgvista_jax.figures.confusion_matrices import Confusion, draw_confusions
from surgvista_jax.figures.timelines import Ribbon, Timeline, draw_timelines
from surgvista_jax.reports.files import report_files, write_report
from surgvista_jax.reports.names import names_of_systems
from surgvista_jax.reports.ribbons import segments
from surgvista_jax.studies.drawn_videos import confusions, evaluations, timelines
from tests.support.drawn_text import check_texts, texts
from tests.support.study_folder import CLASSES, make_study


def timeline(rows: int, classes: int, minutes: float) -> Timeline:
    generator = np.random.default_rng(rows)
    ribbons = []
    for at in range(rows):
        cuts = np.sort(generator.random(classes)) * 60 * minutes
        edges = np.array([0, *cuts])
        parts = zip(generator.integers(0, classes, len(cuts)), edges[:-1], edges[1:], strict=True)
        held = tuple((int(k), float(a), float(b)) for k, a, b in parts)
        ribbons.append(Ribbon(f"A model with a long name, number {at}", held, f"{90 - at:.1f}"))
    return Timeline("video41 " * 12, 60 * minutes, tuple(ribbons), "Accuracy (%)")


@pytest.mark.parametrize(
    ("rows", "classes", "minutes", "width"),
    [(2, 3, 0.8, "single"), (8, 19, 61, "double"), (24, 40, 415, "single")],
)
def test_no_texts_of_a_timeline_run_into_each_other(rows, classes, minutes, width) -> None:
    names = [f"Phase {k}: Calot triangle dissection"[: 8 + 3 * k] for k in range(classes)]
    figure = draw_timelines([timeline(rows, classes, minutes)] * 2, names, width)
    figure.set_dpi(100)
    check_texts(figure)
    unit = "minutes" if minutes >= 2 else "seconds"
    assert [text for text, _ in texts(figure)].count(unit) == 2


@pytest.mark.parametrize(("classes", "width"), [(2, "single"), (7, "double"), (40, "single")])
def test_no_texts_of_a_confusion_run_into_each_other(classes: int, width: str) -> None:
    counts = np.random.default_rng(0).integers(0, 900, (classes, classes))
    counts[0] = 0  # a class that never was
    counts[1] = [*([0] * (classes - 1)), 10_000]
    names = tuple(f"Calot triangle dissection {k}" for k in range(classes))
    figure = draw_confusions([Confusion("A run, a dataset", names, counts)] * 2, width)
    figure.set_dpi(100)
    check_texts(figure)
    written = [text for text, _ in texts(figure)]
    assert ("100" in written) == (classes < 40)
    assert [len(axes.patches) for axes in figure.axes] == [classes] * 2  # the diagonal's frames


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    folder = make_study(tmp_path_factory.mktemp("study"), seeds=1)
    for run in sorted(folder.glob("cells/*/near/linear/seed0")):
        report = report_files([str(run / "predictions.npz")], "phase-strict")
        write_report(report, run / "report", lambda path, aside: None)
    return folder


def test_rows_are_the_truth_and_each_model(study: Path) -> None:
    found = evaluations([study])
    (drawn,), classes = timelines(found, ["near03"])
    assert classes == CLASSES and drawn.seconds == 150
    assert [row.name for row in drawn.rows] == ["truth", "A-teacher", "A-plain", "random"]
    item = next(item for item in found[1][1]["ribbons"]["items"] if item["video"] == "near03")
    assert drawn.rows[0].segments == tuple(
        (k, float(a), float(b)) for k, a, b in segments(item["truth"])
    )
    assert len(drawn.rows[0].segments) == 3
    assert drawn.rows[2].note == f"{100 * item['value']:.1f}"
    assert len(timelines(found)[0]) == 1  # without a choice: the one in the middle
    for drawn_one, (name, report) in zip(confusions(found), found, strict=True):
        assert drawn_one.title == f"{name}, near, linear"  # as the study calls its dataset
        assert drawn_one.counts.tolist() == report["confusion"]["counts"]


def test_a_run_that_was_begun_as_another_is_not_drawn(study: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(study, tmp_path / "study")
    (folder / "definitions/cells/A-plain/near/linear/seed0.json").write_text('{"command": "x"}')
    assert [name for name, _ in evaluations([folder])] == ["A-teacher", "random"]


def test_runs_have_short_names_that_tell_them_apart(study: Path, tmp_path: Path) -> None:
    """A study's cells those of the study, other runs the ends of their paths; nothing is cut."""
    cells = [study / f"cells/{name}/near/linear/seed0" for name in ("A-teacher", "random")]
    found = evaluations([cells[0], cells[1] / "report"])
    assert [name for name, _ in found] == ["A-teacher", "random"]
    titles = ["A-teacher, near, linear", "random, near, linear"]
    assert [drawn.title for drawn in confusions(found)] == titles
    assert timelines(found, ["near03"])[0][0].title == "near03, near, linear"
    other = study / "cells/A-teacher/near/full/seed1"
    shutil.copytree(cells[0], other)
    found = evaluations([cells[0], other, cells[1]])
    names = [name for name, _ in found]
    assert names == [
        "A-teacher, linear, seed 0",
        "A-teacher, full, seed 1",
        "random, linear, seed 0",
    ]
    assert confusions(found)[0].title == "A-teacher, linear, seed 0, near"
    alone = [tmp_path / f"a/very/long/way/{name}/run" for name in ("one", "two")]
    for place in alone:
        shutil.copytree(cells[0], place)
    assert [name for name, _ in evaluations(alone)] == ["one/run", "two/run"]
    (one,) = confusions(evaluations(alone[:1]))
    assert one.title == "A-teacher (linear probe), near"  # as its report calls it
    shutil.rmtree(other)
    files = [str(place / "predictions.npz") for place in cells]
    assert names_of_systems([[file] for file in files]) == ["A-teacher", "random"]
    several = [[str(study / f"cells/{name}/near/linear/seed{k}") for k in (0, 1)] for name in "ab"]
    assert names_of_systems(several) == ["a", "b"]
    with pytest.raises(UserError, match="given twice"):
        evaluations([alone[0], alone[0]])


def run(command, *words: str) -> None:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    command.main(parser.parse_args(list(words)))


def test_the_commands_write_the_same_each_time_or_say_why_not(study: Path, tmp_path: Path) -> None:
    for command, name in ((figure_timeline, "t"), (figure_confusion, "c")):
        files = [tmp_path / f"{name}{again}.pdf" for again in "ab"]
        for file in files:
            run(command, str(study), f"--out={file}")
        first, second = (file.read_bytes() for file in files)
        assert first == second and b"/Subtype /Image" not in first
        with pytest.raises(UserError, match="--panel=nearr"):
            run(command, str(study), f"--out={tmp_path / 'x'}", "--panel=nearr")
        with pytest.raises(UserError, match="no run of far_away.linear has a report yet"):
            run(command, str(study), f"--out={tmp_path / 'x'}", "--panel=far_away/linear")
    out = f"--out={tmp_path / 'x'}"
    with pytest.raises(UserError, match="--video=near99"):
        run(figure_timeline, str(study), out, "--video", "near99")
    with pytest.raises(UserError, match="holds no report.json"):
        run(figure_confusion, str(study / "cells"), out)
