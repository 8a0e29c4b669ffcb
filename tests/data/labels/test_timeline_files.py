"""Files of annotation tools as labels: what they say, and their faults by line."""

import json

import numpy as np
import pytest

from surgvista_jax.data.labels.own_csv import LabelFiles
from surgvista_jax.data.labels.row_labels import LabelColumns
from surgvista_jax.data.labels.video_table import VideoNames
from surgvista_jax.errors import UserError

SRT = "1\n00:00:00,000 --> 00:00:02,000\n<i>Calot</i>\n\n2\n00:00:03,000 --> 00:00:04,000\nClip\n"
VTT = "WEBVTT - x\n\nNOTE a\n\nSTYLE\n::cue {}\n\nid\n00:00.000 --> 00:02.000 line:0\n<v A>Calot\n"
TABLE = "second,label\n0,Calot\n1,Calot\n2,\n"
EAF = """<?xml version="1.0" encoding="UTF-8"?>
<ANNOTATION_DOCUMENT><HEADER TIME_UNITS="milliseconds"/>
<TIME_ORDER><TIME_SLOT TIME_SLOT_ID="a" TIME_VALUE="0"/><TIME_SLOT TIME_SLOT_ID="b" {value}/>
</TIME_ORDER>
<TIER TIER_ID="{tier}"><ANNOTATION>
<ALIGNABLE_ANNOTATION ANNOTATION_ID="x" TIME_SLOT_REF1="a" TIME_SLOT_REF2="b">
<ANNOTATION_VALUE>Calot</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER>
<TIER TIER_ID="comments">{more}</TIER></ANNOTATION_DOCUMENT>
"""
MORE = """<ANNOTATION><ALIGNABLE_ANNOTATION TIME_SLOT_REF1="a" TIME_SLOT_REF2="b">
<ANNOTATION_VALUE>dark</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION>"""


def elan(value='TIME_VALUE="2000"', tier="Phase", more=""):
    return EAF.format(value=value, tier=tier, more=more)


def studio(start=1, end=2, fps=1, video="case.mp4", **task):
    value = {"ranges": [{"start": start, "end": end}], "timelinelabels": ["Calot"]}
    result = [{"type": "timelinelabels", "value": value}, {"type": "choices", "value": {}}]
    return {"data": {"video": video, "fps": fps}, "annotations": [{"result": result}], **task}


def files_of(path, columns=LabelColumns("phase"), videos=("case",)):  # noqa: B008
    names = VideoNames(path.parent, {f"{video}.mp4": video for video in videos})
    return LabelFiles(path, columns, None, names)


def labels(path, count=4, video="case", **options):
    files = files_of(path, **options)
    classes, _ = files.classes()
    found = files.track(video, classes).at(np.arange(count))
    return [None if label == -1 else classes[label] for label in found]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("case.srt", SRT, ["Calot", "Calot", None, "Clip"]),
        ("case.vtt", VTT, ["Calot", "Calot", None, None]),
        ("case.eaf", elan(), ["Calot", "Calot", None, None]),
        ("case.eaf", elan(more=MORE), ["Calot", "Calot", None, None]),
        ("export.json", json.dumps([studio()]), ["Calot", "Calot", None, None]),
    ],
)
def test_a_file_of_a_tool_is_read_alone_and_in_a_folder(tmp_path, name, text, expected):
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert labels(tmp_path / name) == expected
    assert labels(tmp_path) == expected


@pytest.mark.parametrize(
    "place",
    [
        "case.mp4",
        "/data/upload/7/0a1b2c3d-case.mp4",
        "/data/local-files/?d=videos/case.mp4",
        "https://host/a%20b/case.mp4?x=1",
    ],
)
def test_a_task_is_of_its_video_wherever_label_studio_keeps_it(tmp_path, place):
    path = tmp_path / "export.json"
    path.write_text(json.dumps([studio(video=place)]))
    assert labels(path)[0] == "Calot"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("case.srt", SRT.replace("--> 00:00:04", "-> 00:00:04"), "line 6: '00:00:03,000 -> 00"),
        ("case.srt", SRT.replace("00:00:04", "00:00:01"), "line 6: end 1 s is not after"),
        ("case.eaf", elan(value=""), "line 6: annotation 'Calot' has no time at its slot 'b'"),
        ("case.eaf", elan(tier="x", more=MORE), "no tier 'phase'; --column names the tier"),
        ("case.eaf", elan()[:400], "line 7: not XML (unclosed token)"),
        ("case.eaf", "<!DOCTYPE x []><x/>", "line 1: a DOCTYPE has no place"),
        ("case.eaf", "<html/>", "line 1: not a document of ELAN, but <html>"),
        ("case.json", "[", "not JSON"),
        ("case.json", '[{"video": "case"}]', "not tasks of Label Studio"),
        ("case.json", json.dumps([studio(start=0)]), "task 1, result 1: a range must have whole"),
        ("case.json", json.dumps([studio(fps=None)]), "result 1: the task's data must tell `fps`"),
        ("case.json", json.dumps([studio(annotations=[])]), "no task of it is annotated"),
        ("case.json", json.dumps([studio(video="c2.mp4")]), "no video 'c2.mp4'"),
        ("case.json", json.dumps(studio(annotations=[{}, {}])), "task 1: has 2 annotations"),
    ],
)
def test_faults_are_named_by_line_or_task(tmp_path, name, text, said):
    path = tmp_path / name
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        labels(path)
    assert str(caught.value).startswith(str(path)) and said in str(caught.value)


def test_saved_tables_in_a_folder_are_found_by_the_videos_that_they_name(tmp_path):
    (tmp_path / "case_1.csv").write_text("video,start,end,label\na/case 1,0,2,Calot\n")
    (tmp_path / "b.csv").write_text("start,end,label\n2,4,Clip\n")
    (tmp_path / "splits.csv").write_text("video,split\nb,train\n")
    files = files_of(tmp_path, videos=("a/case 1", "b"))
    classes, notes = files.classes()
    assert classes == ("Calot", "Clip") and notes[-1].startswith("1 file is of no video: splits")
    assert labels(tmp_path, video="a/case 1", videos=("a/case 1", "b"))[:3] == ["Calot"] * 2 + [
        None
    ]
    other = tmp_path / "again.csv"
    other.write_text("video,start,end,label\na/case 1,0,2,Calot\n")
    with pytest.raises(UserError, match="labels of a/case 1, which again.csv has too; keep one"):
        labels(tmp_path, video="a/case 1", videos=("a/case 1", "b"))
    other.write_text("video,start,end,label\nb,0,2,Calot\n")  # saved, and not put in its place
    with pytest.raises(UserError, match="again.csv, line 2: labels of b, which .*b.csv has too"):
        labels(tmp_path, video="b", videos=("a/case 1", "b"))
    other.write_text("video,start,end,label\nc,0,2,Calot\n")
    files = files_of(tmp_path, videos=("a/case 1", "b"))
    assert files.classes()[1][-1].startswith("2 files are of no video: again.csv, splits.csv")


@pytest.mark.parametrize(
    ("suffix", "text"), [(".srt", SRT), (".vtt", VTT), (".eaf", elan()), (".csv", TABLE)]
)
def test_a_file_that_a_page_saves_is_of_its_video_whatever_it_is_called(tmp_path, suffix, text):
    """Alone and in a folder; where several videos may be meant, one line says so."""
    videos = ("Fall 1/a?.b", "other")
    path = tmp_path / f"Fall 1_a_.b{suffix}"
    path.write_text(text)
    folder, alone = (
        labels(tmp_path, video=videos[0], videos=videos),
        labels(path, video=videos[0], videos=videos) if suffix != ".csv" else None,
    )
    assert folder[:2] == ["Calot"] * 2 and alone in (folder, None)
    for more in (tmp_path, path) if alone else (tmp_path,):
        with pytest.raises(UserError) as caught:
            files_of(more, videos=(*videos, "Fall 1:a?.b")).classes()
        assert str(caught.value).startswith(f"{path}") and "\n" not in str(caught.value)
        assert "may be of 'Fall 1/a?.b' or 'Fall 1:a?.b'" in str(caught.value)
    # It is a video's whose id it is, and where there is another one that is said.
    videos = ("Fall 1_a_.b", "Fall 1/a?.b")
    assert labels(tmp_path, video=videos[0], videos=videos)[:2] == ["Calot"] * 2
    assert "those of 'Fall 1/a?.b'" in files_of(tmp_path, videos=videos).classes()[1][-1]
    (tmp_path / "Fall 1").mkdir()
    (tmp_path / "Fall 1" / f"a?.b{suffix}").write_text(text)
    assert "those of" not in files_of(tmp_path, videos=videos).classes()[1][-1]
    with pytest.raises(UserError, match=r"a second file of labels of 'Fall 1/a\?.b', beside Fall"):
        files_of(tmp_path, videos=videos[1:]).classes()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("video,start,end,label\na/b,0,2,Calot\n", 2),
        ("video,start,end,label\na_b,0,2,Calot\nelse,2,3,Calot\na/b,2,4,Clip\n", 4),
        ("video,second,label\na_b,0,Calot\na/b,1,Clip\n", 3),
    ],
)
def test_a_line_of_another_video_than_the_name_of_its_file_is_refused(tmp_path, text, line):
    """Else its label would be given to a video that it is not of."""
    (tmp_path / "a_b.csv").write_text(text)
    words = f"line {line}: is of 'a/b', and the file is called as video 'a_b'"
    with pytest.raises(UserError, match=words):
        files_of(tmp_path, videos=("a_b", "a/b")).classes()


def test_a_table_whose_lines_may_be_of_several_videos_says_so(tmp_path):
    """And not that there is no such video."""
    (tmp_path / "all.csv").write_text("video,start,end,label\na_b,0,2,Calot\n")
    with pytest.raises(UserError, match="all.csv, line 2: may be of 'a/b' or 'a:b', which a page"):
        files_of(tmp_path, videos=("a/b", "a:b")).classes()


def test_a_folder_of_other_videos_labels_says_whose_they_are(tmp_path):
    """As a page saves them that is of `MY_VIDEOS/case`, where --source is MY_VIDEOS itself."""
    (tmp_path / "MY_VIDEOS_case.csv").write_text(
        "video,start,end,label,confidence,mended\nMY_VIDEOS/case,0.000,2.000,Clip,0.9,\n"
    )
    (tmp_path / "notes.csv").write_text("")
    said = (
        f"the first would be {tmp_path}/case.csv; there are MY_VIDEOS_case.csv, notes.csv; they are"
        " of MY_VIDEOS/case, which --source does not hold"
    )
    with pytest.raises(UserError, match=said):
        files_of(tmp_path).classes()
    for path in tmp_path.iterdir():
        path.unlink()
    (tmp_path / "MY_VIDEOS_case.vtt").write_text("WEBVTT\n")
    with pytest.raises(UserError, match="be .*/case.vtt; there are MY_VIDEOS_case.vtt$"):
        files_of(tmp_path).classes()


def test_tables_are_preferred_to_other_files_of_a_folder(tmp_path):
    (tmp_path / "case.csv").write_text("start,end,label\n0,4,Clip\n")
    (tmp_path / "videos.json").write_text("{}")
    (tmp_path / "case.json").write_text("[{}]")
    (tmp_path / "case.srt").write_text(SRT)
    assert labels(tmp_path) == ["Clip"] * 4
    said = "2 files are not read beside .csv: case.json, case.srt"
    assert files_of(tmp_path).classes()[1][-1] == said
    (tmp_path / "case.csv").rename(tmp_path / "other.csv")
    with pytest.raises(UserError, match=f"no file of any video in it.*; {said}"):
        files_of(tmp_path).classes()


def test_an_apostrophe_before_a_formula_is_no_part_of_a_name(tmp_path):
    (tmp_path / "case.csv").write_text("start,end,label\n0,1,'=1+1\n1,2,'s Clip\n")
    assert labels(tmp_path, count=2) == ["=1+1", "'s Clip"]
