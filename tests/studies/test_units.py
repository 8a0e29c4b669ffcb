"""Are patients with several videos what a study draws and pairs, where its datasets name them?"""

import csv
from pathlib import Path

import pytest

from surgvista_jax.data.dataset import Dataset, Video
from surgvista_jax.data.storage.manifest import write_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.metrics.named_protocols import find
from surgvista_jax.predictions.reading import ReadingOptions, read_runs
from surgvista_jax.reports.build import Grouping, System, build_report
from surgvista_jax.studies import tables
from surgvista_jax.studies.collect import collect
from surgvista_jax.studies.drawn_bars import comparison
from surgvista_jax.studies.page import study_page
from surgvista_jax.studies.report import build_study_report
from surgvista_jax.studies.units import units_of
from tests.support.study_folder import VIDEOS, make_study

PATIENTS = ["p0", "P0", None, "p1", "p1", "p1", "p2", ""]  # of each video; None: not known


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """Whose dataset `near` names patients, and whose other dataset is not here."""
    folder = make_study(tmp_path_factory.mktemp("study"), seeds=1)
    place = folder / "data/near"
    videos = tuple(
        Video(f"near{k:02d}", f"near{k:02d}", 1.0, 150, patient=PATIENTS[k]) for k in range(VIDEOS)
    )
    for video in videos:
        (place / video.source).mkdir(parents=True)
    texts = dict.fromkeys(("procedure", "licence", "citation", "source_format"), "")
    write_dataset(Dataset(place, "near", "none", (), "single", 1.0, {}, videos=videos, **texts))
    return folder


@pytest.fixture(scope="module")
def report(study: Path) -> dict:
    return build_study_report(collect(study), samples=50)


def test_patients_are_drawn_and_paired_as_evaluate_does(study: Path, report: dict) -> None:
    names = ["a", "a", "b", "c", "c", "c", "d", "e"]  # one of no known patient is alone
    protocol = find("phase-strict")
    ours, theirs = (
        System(
            name,
            read_runs([str(study / f"cells/{name}/near/linear/seed0")], protocol, ReadingOptions()),
        )
        for name in ("A-teacher", "A-plain")
    )
    expected = build_report(protocol, ours, [theirs], Grouping("patient", names), samples=50)
    (panel,) = (panel for panel in report["panels"] if panel["dataset"] == "near")
    assert (panel["unit"], panel["num_units"], panel["videos"]) == ("patient", 5, VIDEOS)
    found = {
        test["key"]: test
        for test in report["tests"]
        if (test["dataset"], test["theirs"]) == ("near", "A-plain")
    }
    for item in expected["comparisons"]:
        test = found[item["key"]]
        assert test["one_sided"]["num_pairs"] == 5
        for key in ("difference", "one_sided", "two_sided"):
            assert test[key] == item[key], key
    # A figure of reports by patient pairs them, too.
    base = build_report(protocol, theirs, (), Grouping("patient", names), samples=20)
    (drawn,), note = comparison([expected, base])
    assert drawn.bars[1].p_value == found["accuracy"]["one_sided"]["p_value"]
    assert "intervals over patients" in note and "test over patients" in note
    del base["videos"][0]["group"], expected["videos"][0]["group"]
    with pytest.raises(UserError, match="names no patients"):
        comparison([expected, base])


def test_the_report_says_what_was_drawn(report: dict) -> None:
    (far,) = (panel for panel in report["panels"] if panel["dataset"] == "far_away")
    assert (far["unit"], far["num_units"]) == ("video", VIDEOS)
    page = study_page(report)
    assert "Drawn and paired are patients: 5 patients, each with all videos" in page
    assert "Drawn and paired are videos: whose they are is not known" in page
    assert "or, on datasets that name patients with several, the patients" in page
    lines = csv.DictReader(tables.tests_csv(report).splitlines())
    assert {(line["dataset"], line["unit"], line["pairs"]) for line in lines} == {
        ("near", "patient", "5"),
        ("far_away", "video", "8"),
    }
    _, note = comparison([report])
    assert "intervals over videos (patients where one has several)" in note


def test_videos_stay_the_unit_where_no_patient_has_several() -> None:
    videos = ["a", "b", "c"]
    for whose in (("video a", "video b", "video c"), ("patient 1", "patient 2", "video c")):
        units = units_of(videos, dict(zip(videos, whose, strict=True)))
        assert (units.name, units.cluster) == ("video", None)
    assert units.why == "each of another patient"
    several = units_of(videos, dict.fromkeys(videos, "patient 1") | {"a": "video a"})
    assert several.name == "patient" and several.cluster.tolist() == [0, 1, 1]
    found = units_of(["a", "other"], {"a": "patient 1"})
    assert found.name == "video" and found.why.endswith("the dataset here has no video other")
