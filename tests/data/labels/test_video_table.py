"""Are splits, patients and centres read from one table, whatever it calls the videos?"""

import pytest

from surgvista_jax.data.labels.video_table import VideoNames, read_video_table
from surgvista_jax.errors import UserError
from tests.support.convert_run import write

KEYS = {"a.mp4": "a", "day 1/b.mp4": "day 1/b", "day 1/c": "day 1/c", "day 2/c": "day 2/c"}


@pytest.fixture
def names(tmp_path):
    return VideoNames(tmp_path / "in", KEYS)


def test_any_of_split_patient_and_centre(tmp_path, names):
    text = "video,split,patient,centre\na,train,7,Bern\nb.mp4,test,8,\na,fold1/test,,\n"
    table = read_video_table(write(tmp_path / "s.csv", text), names)
    assert table.splits == {"train": ["a"], "test": ["day 1/b"], "fold1/test": ["a"]}
    assert table.patients == {"a": "7", "day 1/b": "8"} and table.centres == {"a": "Bern"}
    table = read_video_table(write(tmp_path / "s.csv", "path,patient\na.mp4,7\n"), names)
    assert (table.splits, table.patients, table.centres) == ({}, {"a": "7"}, {})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("video,patient\na,7\na,8\n", "line 3: patient '8' of 'a', which was '7' above"),
        ("video,split\na,train\na,train\n", "line 3: must name a split, each video once in it"),
        ("video,split\na,\n", "line 2: must name a split"),
        ("video,split\nc,train\n", "line 2: no video 'c'"),  # there are two of it
        ("video,splits\na,train\n", "line 1: no column 'split', 'patient' or 'centre'"),
        ("name,split\na,train\n", "line 1: no column 'video' or 'path'"),
        ("video,split\n", "no line in it"),
    ],
)
def test_a_fault_is_named(tmp_path, names, text, said):
    path = write(tmp_path / "s.csv", text)
    with pytest.raises(UserError) as caught:
        read_video_table(path, names)
    assert str(path) in str(caught.value) and said in str(caught.value)


def test_names_in_another_unicode_form_and_paths_from_further_up_are_found(tmp_path):
    names = VideoNames(tmp_path / "in", {"Ba\u0308r.mp4": "Ba\u0308r", "x.1": "x.1", "x.2": "x.2"})
    for text in ("B\u00e4r", "B\u00e4r.mp4", "in/B\u00e4r.mp4", f"{tmp_path}/in/B\u00e4r.mp4"):
        assert names.id_of(text, "") == "Ba\u0308r"
    with pytest.raises(UserError, match="no video 'x'"):
        names.id_of("x", "")


def test_a_folder_that_is_itself_the_video(tmp_path):
    assert VideoNames(tmp_path / "in", {".": "in"}).id_of("in", "") == "in"


def test_spellings_of_a_split_a_patient_and_a_centre_are_one(tmp_path, names):
    path = write(
        tmp_path / "s.csv",
        "video,split,patient,centre\na,Train,P1,Bern\nb,TEST, p1,BERN\na,fold1/train,P-1,bern\n",
    )
    table = read_video_table(path, names)
    assert table.splits == {"train": ["a"], "test": ["day 1/b"], "fold1/train": ["a"]}
    assert set(table.patients.values()) == {"P1"} and set(table.centres.values()) == {"Bern"}
    assert "patient 'P1', 'p1', 'P-1' are one" in table.notes
    assert "split 'train', 'Train' are one" in table.notes and len(table.notes) == 4
