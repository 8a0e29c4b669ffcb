"""What the page writes: read back by the readers of the package, and by its published structure."""

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from itertools import groupby, pairwise
from pathlib import Path

import numpy as np
import pytest

import surgvista_jax
from surgvista_jax.data.labels.own_csv import LabelFiles
from surgvista_jax.data.labels.row_labels import LabelColumns
from surgvista_jax.data.labels.tables import read_frame_table
from surgvista_jax.data.labels.video_table import VideoNames
from surgvista_jax.predictions.text_folder import read_folder

VIEWER = Path(surgvista_jax.__file__).parent / "viewer"
VIDEO = '=case, "7" <b>\U0001fac0'
HOSTILE = ("=1+1, cut", 'a "b" --> <i>c</i>', "Präparation\n{\\an8}", "d&e;f")
LABELS = [0] * 40 + [1] * 7 + [-1] * 13 + [2] + [3] * 29  # the model's
MENDED = [0] * 35 + [1] * 12 + [-1] * 13 + [2] + [3] * 29
READ_BACK = [name.replace("\n", " ") for name in HOSTILE]

_RUN = """
const given = JSON.parse(require("fs").readFileSync(0, "utf8"));
const written = given.map((operation) => {
  for (const labels of [operation, operation.labels]) {
    labels.label = Int16Array.from(labels.label);
    labels.held = labels.held && Uint8Array.from(labels.held);
  }
  return Object.fromEntries(WRITERS.map((writer) => {
    try { return [writer.suffix, writer.write(operation)]; }
    catch (error) { return [writer.suffix, `ERROR ${error.message}`]; }
  }));
});
process.stdout.write(JSON.stringify(written));
"""


def single(labels, model=None, fps=30.0, classes=HOSTILE, video=VIDEO, task="phase", every=1):
    """The page's `operation` of one label a moment, which is every so many frames."""
    rate, fps = fps, fps / every
    model = labels if model is None else model
    operation = {
        "video": video,
        "model": "run <1>",
        "task": task,
        "labelKind": "single",
        "fps": rate,
        "classes": classes,
        "seconds": [k / fps for k in range(len(labels))],
        "ends": [(k + 1) / fps for k in range(len(labels))],
        "step": 1 / fps,
        "label": model,
        "segments": _segments(model, fps),
        "mended": model != labels,
    }
    return operation | {
        "labels": {"label": labels, "held": None, "segments": _segments(labels, fps)}
    }


def several(held, task, classes, fps=1.0):
    """The page's `operation` of several labels a moment; `held` [n, C]."""
    held = np.array(held)
    segments = [
        segment | {"label": k}
        for k in range(held.shape[1])
        for segment in _segments(held[:, k].tolist(), fps)
        if segment["label"]
    ]
    operation = single([-1] * len(held), fps=fps, classes=classes)
    labels = {"label": [-1] * len(held), "held": held.ravel().tolist(), "segments": segments}
    kind = {"task": task, "labelKind": "multi", "segments": segments, "labels": labels}
    return operation | kind


def _segments(labels, fps):
    found, at = [], 0
    for label, run in groupby(labels):
        count = len(list(run))
        if label >= 0:
            ends = {"start": at / fps, "end": (at + count) / fps}
            found.append({**ends, "label": label, "confidence": 0.75})
        at += count
    return found


HELD = [[1, 0], [1, 1], [0, 1], [0, 0], [1, 0]]


@pytest.fixture(scope="module")
def written():
    """Name of an operation -> suffix -> what is written of it."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node to run the page's script")
    operations = {
        "mended": single(MENDED, LABELS),
        "plain": single([0, 0, -1, 2], fps=1.0, classes=("Calot", "b", "Pack aging")),
        "empty": single([-1, -1], fps=1.0),
        "untold": single([0, 1], fps=1.0, task=""),
        "sampled": single([0, 1, 1], fps=30.0, every=30),
        "tools": several(HELD, "tool", ["Hook", "Gras;per"]),
        "alike": several(HELD, "tool", ["a;b", "a,b"]),
        "cvs": several(HELD, "cvs", ["two, structures", "plate"]),
    }
    script = "".join((VIEWER / name).read_text() for name in ("writers.js", "writers_tools.js"))
    run = subprocess.run(
        [node, "-e", '"use strict";' + script + _RUN],
        input=json.dumps([*operations.values()]),
        capture_output=True,
        text=True,
        check=True,
    )
    return dict(zip(operations, json.loads(run.stdout), strict=True))


def read_back(path, fps, count, task="phase", video="case", classes=None):
    """The classes and the labels at each moment that `data convert` gets from a file."""
    names = VideoNames(path.parent, {f"{video}.mp4": video})
    files = LabelFiles(path, LabelColumns(task), classes, names)
    classes, _ = files.classes()
    return classes, list(files.track(video, classes).at(np.arange(count) / fps))


@pytest.mark.parametrize("suffix", [".csv", ".json", ".eaf", ".srt", ".vtt"])
def test_what_is_written_is_read_back_as_label_file_moment_by_moment(written, tmp_path, suffix):
    path = tmp_path / f"case{suffix}"
    path.write_text(written["mended"][suffix], encoding="utf-8")
    video = VIDEO if suffix in (".csv", ".json") else "case"  # the others hold no name of a video
    classes, labels = read_back(path, 30.0, len(MENDED), video=video)
    assert labels == MENDED
    if suffix == ".srt":  # which has no escapes
        assert classes == (HOSTILE[0], 'a "b" --› ‹i›c‹/i›', "Präparation { \\an8}", HOSTILE[3])
    else:
        assert list(classes) == READ_BACK


def test_borders_are_written_once_so_that_nothing_overlaps_or_gaps(written):
    rows = [line.rsplit(",", 5)[-5:] for line in written["mended"][".csv"].splitlines()[1:]]
    text = written["mended"][".vtt"]
    cues = re.findall(r"00:00:(\S+) --> 00:00:(\S+)", text)
    assert [float(end) for _, end in cues] == [35 / 30 // 0.001 / 1000, 1.566, 2.033, 3.0]
    assert [float(start) for start, _ in cues] == [0.0, 1.166, 2.0, 2.033]
    assert len(rows) == 4


def test_what_was_mended_is_marked(written):
    lines = written["mended"][".csv"].splitlines()
    assert lines[0] == "video,start,end,label,confidence,mended"
    assert lines[2].endswith(",0.750,1.166-1.333") and lines[1].endswith(",0.750,")
    assert "2 mended 1.166-1.333" in written["mended"][".vtt"]
    task = json.loads(written["mended"][".json"])[0]
    notes = [region.get("meta") for region in task["annotations"][0]["result"]]
    assert notes == [None, {"text": ["mended 1.166-1.333"]}, None, None]
    tiers = ET.fromstring(written["mended"][".eaf"]).findall("TIER")
    values = [tier.findtext(".//ANNOTATION_VALUE") for tier in tiers]
    assert [tier.get("TIER_ID") for tier in tiers] == ["phase", "mended (was)"]
    assert values == [HOSTILE[0], HOSTILE[0]]


def test_cells_that_a_spreadsheet_would_run_are_text(written):
    line = written["mended"][".csv"].splitlines()[1]
    assert line.startswith('"\'=case, ""7"" <b>\U0001fac0",0.000,1.166,"\'=1+1, cut",')


def test_subtitles_hold_nothing_that_a_player_takes_for_something_else(written):
    for cue in written["mended"][".vtt"].split("\n\n")[2:]:
        _, times, text = cue.strip().split("\n")
        assert times.count("-->") == 1 and not re.search(r"-->|<", text)
    for cue in written["mended"][".srt"].strip().split("\n\n"):
        _, times, text = cue.split("\n")
        assert times.count("-->") == 1 and not re.search(r"-->|<|\{\\", text)


def test_frames_of_label_studio_count_from_one_and_meet(written):
    task = json.loads(written["mended"][".json"])[0]
    ranges = [r["value"]["ranges"][0] for r in task["annotations"][0]["result"]]
    assert task["data"]["fps"] == 30
    assert ranges[0] == {"start": 1, "end": 35} and ranges[1] == {"start": 36, "end": 47}
    assert ranges[2] == {"start": 61, "end": 61}  # a single frame, after an unlabelled stretch
    config = ET.fromstring(task["data"]["labelling_config"])
    assert [label.get("value") for label in config.iter("Label")] == READ_BACK
    names = {config.find("TimelineLabels").get(key) for key in ("name", "toName")}
    results = task["annotations"][0]["result"] + task["predictions"][0]["result"]
    assert all({r["from_name"], r["to_name"]} == names for r in results)
    assert {r["type"] for r in results} == {"timelinelabels"}
    assert len(json.loads(written["plain"][".json"])[0]) == 2  # nothing mended: no annotation


def test_elan_documents_have_the_structure_of_their_format(written):
    order = "HEADER TIME_ORDER TIER LINGUISTIC_TYPE LANGUAGE CONSTRAINT CONTROLLED_VOCABULARY"
    for name in ("mended", "plain", "tools", "cvs", "untold", "alike"):
        root = ET.fromstring(written[name][".eaf"])
        kinds = [kind for kind, _ in groupby(child.tag for child in root)]
        assert root.get("FORMAT") == "3.0" and kinds == order.split()
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", root.get("DATE"))
        slots = {s.get("TIME_SLOT_ID"): int(s.get("TIME_VALUE")) for s in root.iter("TIME_SLOT")}
        assert [*slots.values()] == sorted(slots.values())
        found = [*root.iter("ALIGNABLE_ANNOTATION")]
        ids = [*slots, *(annotation.get("ANNOTATION_ID") for annotation in found)]
        assert len({*ids}) == len(ids)
        types = {t.get("LINGUISTIC_TYPE_ID") for t in root.iter("LINGUISTIC_TYPE")}
        words = {value.text for value in root.iter("CVE_VALUE")}
        tiers = [tier.get("TIER_ID") for tier in root.iter("TIER")]
        assert all(tiers) and len({*tiers}) == len(tiers)
        for tier in root.iter("TIER"):
            spans = [
                [slots[a.get(f"TIME_SLOT_REF{k}")] for k in (1, 2)]
                for a in tier.iter("ALIGNABLE_ANNOTATION")
            ]
            assert tier.get("LINGUISTIC_TYPE_REF") in types
            assert all(start < end for start, end in spans)
            assert all(before[1] <= after[0] for before, after in pairwise(spans))
            assert {value.text for value in tier.iter("ANNOTATION_VALUE")} <= words


def test_the_official_text_is_read_by_both_readers(written, tmp_path):
    text = written["plain"][".txt"]
    assert text.startswith("Frame\tPhase\n0\tCalot\n1\tCalot\n") and text.count("\n") == 76
    (tmp_path / "case-phase.txt").write_text(text)
    classes = ("Calot", "b", "Pack aging")
    track = read_frame_table(
        tmp_path / "case-phase.txt", 25, lambda name, where: classes.index(name)
    )
    assert track.at(np.arange(4)) == (0, 0, -1, 2)
    found = read_folder(tmp_path, "official", 25.0, classes)
    assert found.decision.tolist() == [0] * 50 + [2] * 25
    assert written["mended"][".txt"].startswith("ERROR 30 moments a second do not fit")
    numbers = [int(line.split()[0]) for line in written["sampled"][".txt"].splitlines()[1:]]
    assert numbers == [*range(75)]  # moments a second, of frames that are numbered at 30


def test_elan_documents_without_a_task_are_read_back(written, tmp_path):
    path = tmp_path / "case.eaf"
    path.write_text(written["untold"][".eaf"], encoding="utf-8")
    assert read_back(path, 1.0, 2)[1] == [0, 1]


@pytest.mark.parametrize("suffix", [".csv", ".eaf", ".srt", ".vtt"])
def test_several_labels_a_moment_come_back_as_well(written, tmp_path, suffix):
    path = tmp_path / f"case{suffix}"
    path.write_text(written["tools"][suffix], encoding="utf-8")
    video = VIDEO if suffix == ".csv" else "case"
    classes, labels = read_back(path, 1.0, 5, "tool", video, classes=("Hook", "Gras,per"))
    assert labels == [(0,), (0, 1), (1,), (), (0,)]


def test_criteria_have_a_column_each_and_tools_a_line_a_second(written, tmp_path):
    (tmp_path / "all.csv").write_text(written["cvs"][".csv"], encoding="utf-8")
    classes, labels = read_back(tmp_path / "all.csv", 1.0, 5, "cvs", VIDEO)
    assert classes == ("two, structures", "plate")
    assert labels == [(0,), (0, 1), (1,), (), (0,)]
    lines = written["tools"][".txt"].splitlines()
    assert lines[0].split("\t") == ["Frame", "Hook", "Gras,per"]
    assert lines[1:3] == ["0\t1\t0", "25\t1\t1"] and len(lines) == 6


def test_where_nothing_is_labelled_there_is_no_file(written):
    assert {*written["empty"].values()} == {"ERROR No moment has a label."}
