"""Are text tables read as spreadsheets write them, and is every fault named by its line?"""

import pytest

from surgvista_jax.data.labels.tables import read_frame_table, read_rows
from surgvista_jax.errors import UserError
from tests.support.convert_run import write

ROWS = [{"video": "a", "label": "Präp"}, {"video": "b", "label": "x, y"}]


def cells(path):
    return [row.cells for row in read_rows(path, ("video", "label"))]


@pytest.mark.parametrize(
    "data",
    [
        'video,label\na,Präp\nb,"x, y"\n'.encode(),
        'video,label\r\na,Präp\r\nb,"x, y"\r\n'.encode(),
        'video,label\ra,Präp\rb,"x, y"'.encode(),
        'video,label\na,Präp\nb,"x, y"\n'.encode("utf-8-sig"),
        "video\tlabel\na\tPräp\nb\tx, y\n".encode("utf-16"),
        "sep=;\nvideo;label\na;Präp\nb;x, y\n".encode("utf-8-sig"),
        "video;label;;\na;Präp;;\n;;;\nb;x, y;;\n".encode(),
    ],
    ids=["plain", "windows", "old mac", "byte-order mark", "utf-16", "told separator", "blanks"],
)
def test_one_table_however_it_is_saved(tmp_path, data):
    path = tmp_path / "t.csv"
    path.write_bytes(data)
    assert cells(path) == ROWS


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b'video,label\na,x\nb,"y\nc,z\nd,w\n', 'line 3: a quotation mark (") opens in it'),
        (b'video,label\na,x\nb,"y\nc,"z\n', 'line 3: a quotation mark (") opens in it'),
        (b"video,label\n" + b'a,"x' + b"\ny" * 70_000, "line 2: not CSV (field larger than"),
        (b"video,label\na," + b"x" * 200_000 + b"\n", "line 2: not CSV (field larger than"),
        (b"video,label,label\na,x,y\n", "line 1: column 'label' is there twice"),
        (b"video,label\na,Pr\xe4p\n", "line 2: not UTF-8 text (byte 16); save it as UTF-8"),
        ("video,label\na,x\n".encode("utf-16-le"), "line 1: not text (it holds a NUL); save it"),
        (b"video,label\na\n", "line 2: 1 cell, the header has 2"),
        (b"video,label\na,x,y\n", "line 2: 3 cells, the header has 2"),
        (b"sep=;\nvideo;label\na\n", "line 3: 1 cell, the header has 2"),
        (b"", "line 1: no column 'video'"),
    ],
)
def test_a_fault_is_named_by_its_line(tmp_path, data, said):
    path = tmp_path / "t.csv"
    path.write_bytes(data)
    with pytest.raises(UserError) as caught:
        cells(path)
    assert str(caught.value).startswith(f"{path}, {said}")


@pytest.mark.parametrize("text", ["inf", "nan", "1e999", "", "x", "1_0", "1,5,5", "9" * 400])
def test_a_number_is_finite(tmp_path, text):
    path = write(tmp_path / "t.csv", f"n;m\n{text};1\n")
    (row,) = read_rows(path)
    for kind in (int, float):
        with pytest.raises(UserError, match="t.csv, line 2: column 'n': "):
            row.number("n", kind)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_comma_that_does_not_separate_is_a_decimal_one(tmp_path, separator):
    (row,) = read_rows(write(tmp_path / "t.csv", f"n{separator}m\n2,5{separator}3,0\n"))
    assert row.number("n") == 2.5 and row.number("m", int) == 3
    (row,) = read_rows(write(tmp_path / "t.csv", 'n,m\n"2,5",1\n'))
    with pytest.raises(UserError, match="line 2: column 'n': '2,5' is not a number; write 2.5"):
        row.number("n")
    with pytest.raises(UserError, match="4 cells, the header has 2; is a comma in a number"):
        list(read_rows(write(tmp_path / "t.csv", "n,m\n2,5,3,0\n")))


def test_what_is_blank_before_the_header_is_passed_over(tmp_path):
    for before in ("\n\n", " \n;;\n", "\nsep=;\n"):
        path = write(tmp_path / "t.csv", f"{before}video;label\na;cut\n")
        (row,) = read_rows(path)
        assert row.cells == {"video": "a", "label": "cut"}
        assert row.where.endswith(f"line {before.count(chr(10)) + 2}")
    table = write(tmp_path / "p.txt", "\nFrame\tPhase\n0\tcut\n")
    assert read_frame_table(table, 1, lambda text, where: 5).by_number == {0: 5}


def test_a_whole_number_may_be_written_with_a_point(tmp_path):
    (row,) = read_rows(write(tmp_path / "t.csv", "n,m\n3.0, 1.5\n"))
    assert row.number("n", int) == 3 and row.number("m") == 1.5
    with pytest.raises(UserError, match="'1.5' is not a whole number"):
        row.number("m", int)


def frame_table(tmp_path, lines, first=0, fps=25):
    path = write(tmp_path / "p.txt", "Frame\tPhase\n" + "".join(f"{n}\t{k}\n" for n, k in lines))
    return read_frame_table(path, fps, lambda text, where: int(text), first=first)


def test_a_line_a_second_by_numbers_of_frames_is_recognised(tmp_path):
    track = frame_table(tmp_path, [(0, 5), (25, 6), (75, 8)])
    assert (track.every, track.fps) == (25, 25) and not track.may_be_seconds
    assert track.notes == (
        "has one line a second (0, 25, 50 …), not 25",
        "1 frames between the first and the last have no line: unlabelled",
    )
    assert frame_table(tmp_path, [(0, 5), (1, 6), (2, 8)]).may_be_seconds


def test_another_first_number_than_usual_is_said_not_shifted(tmp_path):
    track = frame_table(tmp_path, [(1, 5), (2, 6)])
    assert track.by_number == {1: 5, 2: 6}
    assert "its first line is of frame 1, not of 0: none before has a label" in track.notes
    track = frame_table(tmp_path, [(0, 5), (1, 6)], first=1)
    assert track.by_number == {0: 5, 1: 6}
    assert "frames are numbered from 0, where 1 is usual" in track.notes
    assert frame_table(tmp_path, [(1, 5), (2, 6)], first=1).by_number == {0: 5, 1: 6}


def test_a_number_too_long_for_a_frame_is_none(tmp_path):
    with pytest.raises(UserError, match="line 3: '9999999999999999' is not a frame number"):
        frame_table(tmp_path, [(0, 1), (9999999999999999, 1)])


@pytest.mark.parametrize(
    ("line", "data"),
    [(2, b"video,label\na,b\0c\n"), (1, "video,label\na,b\n".encode("utf-16-le"))],
)
def test_a_file_that_holds_a_nul_is_no_text(tmp_path, line, data):
    path = tmp_path / "labels.csv"
    path.write_bytes(data)
    with pytest.raises(UserError, match=rf"labels.csv, line {line}: .*NUL"):
        cells(path)
