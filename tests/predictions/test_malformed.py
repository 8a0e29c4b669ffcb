"""Is every strange value in a file of predictions its right value, or one line that names it?"""

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.predictions.csv_table import DEFAULTS, read_csv
from surgvista_jax.predictions.frames import natural_order
from surgvista_jax.predictions.npz import read_npz
from surgvista_jax.predictions.text_folder import read_folder
from tests.support.bit_flips import say_packed

META = {"task": "phase", "classes": ["a", "b", "c"], "fps": 1}
PLAIN = {
    "video": np.array(["v"] * 4),
    "frame": np.arange(4),
    "score": np.full((4, 3), 1 / 3, np.float32),
    "label": np.array([0, 1, 2, -1]),
    "meta": json.dumps(META),
}


def npz(folder: Path, **changes) -> Path:
    path = folder / "p.npz"
    np.savez(path, **(PLAIN | changes))
    return path


def meta(text: str = "", **changes) -> dict:
    return {"meta": text or json.dumps(META | changes)}


FAULTS = {
    "classes that are null": (meta(classes=None), "meta key 'classes' is null; leave it out"),
    "label beyond any task": ({"label": np.full(4, 1e30)}, "label of row 0 is 1e\\+30"),
    "label of 64 bits": ({"label": np.full(4, 2**64 - 1, np.uint64)}, "label of row 0"),
    "label of complex numbers": ({"label": np.full(4, 1j)}, "`label` must hold numbers"),
    "label of one column": ({"label": np.zeros((4, 1))}, "`label` is .N, 1.; class ids are .N."),
    "score of text": ({"score": np.full((4, 3), "x")}, "`score` must hold numbers"),
    "score of complex numbers": ({"score": np.full((4, 3), 1j)}, "`score` must hold numbers"),
    "frame beyond any video": ({"frame": np.arange(4) + 2**62}, "beyond any video"),
    "classes a text": (meta(classes="abc"), "meta key 'classes' is 'abc'; a list of names"),
    "classes of lists": (meta(classes=[["a"], "b", "c"]), "meta key 'classes'"),
    "classes an object": (meta(classes={"a": 1}), "meta key 'classes'"),
    "fps too high": (meta(fps=10**400), "meta key 'fps' is 1000"),
    "fps a text": (meta(fps="25"), "meta key 'fps' is '25'"),
    "fps infinite": (meta('{"fps": Infinity}'), "meta key 'fps' is inf"),
    "digits": (
        meta('{"fps": ' + "1" * 5000 + "}"),
        "meta is not JSON .a number in it has too many",
    ),
    "depth": (meta("[" * 100_000), "meta is not JSON .it nests too deep"),
    "half a character": (meta('{"model": "\\ud800"}'), "holds half a character"),
    "no object": (meta("[1]"), "meta must be a JSON object"),
}


@pytest.mark.parametrize(("changes", "said"), FAULTS.values(), ids=FAULTS)
def test_a_faulty_npz_is_one_line(tmp_path, changes, said):
    with pytest.raises(UserError, match=said) as refused:
        read_npz(npz(tmp_path, **changes), "p.npz")
    line = str(refused.value)
    assert line.startswith("p.npz: ") and "\n" not in line and len(line) < 300


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.int8, np.int64])
def test_whole_numbers_of_any_type_are_labels(tmp_path, kind):
    label = np.array([0, 1, 2, -1]).astype(kind)
    found = read_npz(npz(tmp_path, label=label), "p.npz").label
    assert found is not None and found.dtype == np.int64
    assert found.tolist() == [0, 1, 2, -1]


def test_an_array_of_absurd_size_is_one_line(tmp_path):
    """Its header promises 25 TiB."""
    held = io.BytesIO()
    header = {"descr": "<f4", "fortran_order": False, "shape": (7_000_000_000_000,)}
    np.lib.format.write_array_header_1_0(held, header)
    path = npz(tmp_path)
    with zipfile.ZipFile(path) as file:
        others = {name: file.read(name) for name in file.namelist() if name != "score.npy"}
    with zipfile.ZipFile(path, "w") as file:
        for name, content in (others | {"score.npy": held.getvalue()}).items():
            file.writestr(name, content)
    with pytest.raises(UserError, match="p.npz: not a readable .npz file"):
        read_npz(path, "p.npz")


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6, 0.8])
def test_a_damaged_npz_is_one_line(tmp_path, share):
    path = tmp_path / "p.npz"
    np.savez_compressed(path, **PLAIN)
    data = bytearray(path.read_bytes())
    at = int(len(data) * share)
    data[at : at + 40] = b"\xa5" * 40
    path.write_bytes(data)
    with pytest.raises(UserError) as refused:
        read_npz(path, "p.npz")
    assert "\n" not in str(refused.value)


def table(folder: Path, *rows: str, header: str = "video,frame,label,prediction"):
    path = folder / "p.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return read_csv(path, "p.csv", DEFAULTS, 1, ())


@pytest.mark.parametrize("blank", ["", " "])
@pytest.mark.parametrize("unlabelled", ["-1", "", "nan", "NaN", "-100", "\u22121", "-1.0"])
def test_unlabelled_frames_stay_unlabelled(tmp_path, unlabelled, blank):
    rows = [f"v,{frame},{blank}{label},0" for frame, label in enumerate([0, 1, unlabelled, 1])]
    found = table(tmp_path, *rows)
    assert found.label is not None and found.label.tolist() == [0, 1, -1, 1]


def test_numbers_may_be_written_as_floats(tmp_path):
    found = table(tmp_path, "v,0,0.0,1.0", "v,1.0,1.0,0.0", " v, 2, 1, 1")
    assert found.label is not None and found.label.tolist() == [0, 1, 1]
    assert found.decision is not None and found.decision.tolist() == [1, 0, 1]
    assert found.videos == ("v",)


ROWS = {
    "long class": (["v,0," + "9" * 30 + ",0"], "class 9+: no task has so many classes"),
    "endless class": (["v,0," + "9" * 5000 + ",0"], "no task has so many classes"),
    "class of 8 digits": (["v,0,99999999,0"], "class 99999999: no task has so many classes"),
    "infinite frame": (["v,inf,0,0"], "line 2: column 'frame': 'inf' is not a number"),
    "frame that is no number": (["v,nan,0,0"], "line 2: column 'frame': 'nan' is not a number"),
    "late frame": (["v,1e300,0,0"], "line 2: column 'frame' holds '1e300'"),
    "label below -1": (["v,0,0,0", "v,1,-2,0"], "line 3: class '-2' is below 0; only -1, -100"),
    "label with a dash": (["v,0,\u2013 3,0"], "line 2: class .* is below 0"),
    "label of a half": (["v,0,0,0", "v,1,1.5,0"], "line 3: class '1.5' is not a whole number"),
    "prediction below -1": (["v,0,0,-2"], "line 2: class '-2' is below 0"),
    "no rows": ([], "no frames"),
}


@pytest.mark.parametrize(("rows", "said"), ROWS.values(), ids=ROWS)
def test_a_faulty_row_is_one_line(tmp_path, rows, said):
    with pytest.raises(UserError, match=said) as refused:
        table(tmp_path, *rows)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 300


def test_columns_of_one_name_are_refused(tmp_path):
    with pytest.raises(UserError, match="column 'label' is there twice; name each once"):
        table(tmp_path, "v,0,0,1,0", header="video,frame,label,label,prediction")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("9" * 30 + "\tcut", "v.txt, line 2: no video has frame 9999"),
        ("9" * 5000 + "\tcut", "no video has frame 9999"),
    ],
)
def test_a_frame_of_too_many_digits_is_one_line(tmp_path, line, said):
    (tmp_path / "v.txt").write_text(f"0\tcut\n{line}\n")
    with pytest.raises(UserError, match=said):
        read_folder(tmp_path, "p", 1, ("cut",))


def test_a_superscript_is_no_frame_number(tmp_path):
    (tmp_path / "v.txt").write_text("0\tcut\n²\tcut\n")
    with pytest.raises(UserError, match="line 2: '²' is not a frame number"):
        read_folder(tmp_path, "p", 1, ("cut",))


@pytest.mark.parametrize("none", ["\t", "", "\t-1", "\t -100", "\tnan", ",-1.0"])
def test_frames_without_a_label_in_text_stay_unlabelled(tmp_path, none):
    (tmp_path / "v.txt").write_text(f"0\t1\n1{none}\n2.0\t0\n3\t2.0\n")
    found = read_folder(tmp_path, "p", 1, ("a", "b", "c"))
    assert found.frame.tolist() == [0, 1, 2, 3]
    assert found.decision is not None and found.decision.tolist() == [1, -1, 0, 2]
    (tmp_path / "v.txt").write_text("0\t1\n1\t-3\n")
    with pytest.raises(UserError, match="p/v.txt, line 2: class '-3' is below 0"):
        read_folder(tmp_path, "p", 1, ("a", "b", "c"))


def test_an_empty_line_among_phases_without_frames_is_refused(tmp_path):
    (tmp_path / "v.txt").write_text("\nPhase\n\na\nb\n\n\n")
    found = read_folder(tmp_path, "p", 1, ("a", "b"))
    assert found.decision is not None and found.decision.tolist() == [0, 1]
    (tmp_path / "v.txt").write_text("a\nb\n\na\n")
    with pytest.raises(UserError, match="p/v.txt, line 3: empty; a phase for each frame is needed"):
        read_folder(tmp_path, "p", 1, ("a", "b"))


@pytest.mark.parametrize("row", [[-1, -1, -1], [-100, -100, -100]])
def test_rows_of_several_labels_are_unlabelled_as_a_whole(tmp_path, row):
    label = np.array([[0, 1, 1], row, [1, 0, 0], [0, 0, 0]])
    found = read_npz(npz(tmp_path, label=label), "p.npz")
    assert found.label is not None and found.label.tolist()[1] == [-1, -1, -1]
    label[1, 0] = 1
    with pytest.raises(UserError, match="label of row 1 is"):
        read_npz(npz(tmp_path, label=label), "p.npz")


@pytest.mark.parametrize("label", [-2, -99, -3.0])
def test_labels_below_zero_that_are_no_mark_are_refused(tmp_path, label):
    assert read_npz(npz(tmp_path, label=np.array([0, 1, -100, -1])), "p.npz").label is not None
    with pytest.raises(UserError, match="label of row 1 is -"):
        read_npz(npz(tmp_path, label=np.array([0, label, 1, -1])), "p.npz")


def test_any_name_has_its_place_in_the_order():
    names = ["v10", "v9", "v1²", "²", "v" + "9" * 5000, "v٣", "v09b", ""]
    assert sorted(names, key=natural_order)[:2] == ["", "v1²"]
    assert sorted(["v10", "v9"], key=natural_order) == ["v9", "v10"]


def test_an_archive_is_not_read_before_its_sizes_were_looked_at(tmp_path, monkeypatch):
    """A few KiB of zeros may stand for more than there is memory; a header may say anything."""
    monkeypatch.setattr("surgvista_jax.archives.free_memory", lambda: 2.0**20)
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, **(PLAIN | {"score": np.zeros((2**18, 3), np.float32)}))
    assert path.stat().st_size < 2**14
    monkeypatch.setattr(np, "load", pytest.fail)
    with pytest.raises(UserError, match="its arrays take 0.0 GiB, of which 0.0 GiB are free"):
        read_npz(path, str(path))
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, {"descr": "<f4", "fortran_order": False, "shape": (7 * 10**12,)}
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("score.npy", header.getvalue() + bytes(64))
    with pytest.raises(UserError, match="score.npy says that it is .7000000000000"):
        read_npz(path, str(path))


@pytest.mark.parametrize("name", ["a\0b", "a\ud800", "a\nb"])
def test_a_video_whose_name_cannot_be_printed_is_refused(tmp_path, name):
    path = npz(tmp_path, video=np.array([name] * 4))
    with pytest.raises(UserError, match="`video` holds a name"):
        read_npz(path, str(path))


def test_a_header_that_is_no_python_is_refused(tmp_path):
    path = npz(tmp_path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    members["score.npy"] = members["score.npy"].replace(b"}", b"(", 1)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(UserError, match="score.npy has no header of an array"):
        read_npz(path, str(path))


@pytest.mark.parametrize("method", [8, 9, 12, 14])
def test_an_archive_that_says_that_it_is_packed_otherwise_is_one_line(tmp_path, method):
    path = npz(tmp_path)
    say_packed(path, method)
    with pytest.raises(UserError, match="p.npz: not a readable .npz file"):
        read_npz(path, "p.npz")
