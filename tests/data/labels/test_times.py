"""Are times read however they are written, and frames however they are numbered?"""

import pytest

from surgvista_jax.data.labels.tables import Row, read_rows
from surgvista_jax.data.labels.times import first_number, frame_rate, renaming, seconds_of
from surgvista_jax.errors import UserError
from tests.support.convert_run import write


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2", 2),
        ("2.5", 2.5),
        ("1e1", 10),
        ("0:02", 2),
        ("1:00:02.5", 3602.5),
        ("00:00:02,500", 2.5),
        ("90:30", 5430),
    ],
)
def test_a_time_is_seconds_or_a_clock(text, seconds):
    assert seconds_of(Row("l", {"start": f" {text} "}), "start") == seconds


@pytest.mark.parametrize("text", ["-1", "nan", "inf", "", "x", "1:", "1:2:3:4", "0:0:-1", "1_0"])
def test_what_is_no_time_is_told_what_would_be_one(text):
    with pytest.raises(UserError, match="neither seconds from 0 on nor H:MM:SS; write 187.5"):
        seconds_of(Row("l", {"start": text}), "start")


@pytest.mark.parametrize("text", ["9" * 20, "1e300", "999999999:00:00", "9" * 300])
def test_no_video_is_so_long(text):
    with pytest.raises(UserError, match="column 'second': no video has a second '[0-9e:]{1,60}'"):
        seconds_of(Row("l", {"second": text}), "second")


def test_decimal_commas_are_read_where_they_can_be_told(tmp_path):
    (row,) = read_rows(write(tmp_path / "l.csv", "start;end;label\n0,5;2,5;a\n"))
    assert (seconds_of(row, "start"), seconds_of(row, "end")) == (0.5, 2.5)
    (row,) = read_rows(write(tmp_path / "l.csv", 'start,end,label\n"0,5",2.5,a\n'))
    with pytest.raises(UserError, match="'0,5' is not a number; write 0.5"):
        seconds_of(row, "start")


def rows(*pairs):
    return [(n, Row(f"line {n}", {"second": str(s)})) for n, s in pairs]


@pytest.mark.parametrize("fps", [1, 5, 25, 29.97])
def test_frames_from_1_at_second_0_are_told_from_frames_that_lack_the_first(fps):
    from_one = rows(*((k + 1, f"{k / fps:.3f}") for k in range(100)))
    lacking = rows(*((k, f"{k / fps:.3f}") for k in range(1, 100)))
    from_zero = rows(*((k, f"{k / fps:.3f}") for k in range(100)))
    assert [first_number(found) for found in (from_one, lacking, from_zero)] == [1, 0, 0]
    moved = [(number - 1, row) for number, row in from_one]
    assert frame_rate(moved) == pytest.approx(fps, rel=1e-4)


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (["start_time", "end_time", "label"], "; call 'start_time' start and 'end_time' end"),
        (["Onset (s)", "Offset (s)", "label"], "; call 'Onset (s)' start and 'Offset (s)' end"),
        (["start", "stop", "label"], "; call 'stop' end"),
        (["timestamp", "label"], "; call 'timestamp' second"),
        (["secnd", "label"], "; did you mean 'secnd'?"),
    ],
)
def test_columns_of_times_under_other_names_are_named(columns, said):
    assert renaming(columns) == said
