"""Are predictions in CSV files read, whatever their columns are called, however they are saved?"""

from pathlib import Path

import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.metrics.named_protocols import find
from surgvista_jax.predictions.csv_table import parse_columns, read_csv
from surgvista_jax.predictions.reading import ReadingOptions, read_one

STRICT = find("phase-strict")


def test_csv_with_other_column_names(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("case,t,truth,p_a,p_b\nv1,0.0,a,0.9,0.1\nv1,0.04,b,0.2,0.8\nv1,0.08,,0.5,0.5\n")
    columns = parse_columns("video=case,second=t,label=truth,score=p_")
    found = read_csv(path, "p.csv", columns, 25, ())
    assert found.classes == ("a", "b") and found.frame.tolist() == [0, 1, 2]
    assert found.label.tolist() == [0, 1, -1]
    ready = read_one(str(path), STRICT, ReadingOptions(fps=25, columns=columns))
    assert len(ready.label) == 2 and "1 unlabelled frame" in ready.notes[0]
    with pytest.raises(UserError, match="no column 'frame' for frame; the file has case, t, truth"):
        read_csv(path, "p.csv", parse_columns(""), 25, ())
    with pytest.raises(UserError, match="write role=column"):
        parse_columns("vid=case")
    path.write_text("video,frame,label,prediction\nv,0,0,0\nv,x,0,0\n")
    with pytest.raises(UserError, match="line 3: column 'frame': 'x' is not a number"):
        read_csv(path, "p.csv", parse_columns(""), 1, ("a", "b"))


@pytest.mark.parametrize(
    "data",
    [
        b"video;frame;label;score_a;score_b\nv;0;a;0,75;0,25\nv;1;-1;0,5;0,5\n",
        "video\tframe\tlabel\tscore_a\tscore_b\nv\t0\ta\t0.75\t0.25\nv\t1\t-1\t.5\t.5\n".encode(
            "utf-16"
        ),
        b"\n\nsep=;\nvideo;frame;label;score_a;score_b;\nv;0;A;0.75;0.25;\n\nv;1.0;;0.5;0.5;\n",
        b'"video","frame","label","score_a","score_b"\r\n"v","0"," a","0.75",".25"\r\n'
        b"v, 1, -1,.5,.5",
    ],
)
def test_one_table_however_it_is_saved(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "p.csv").write_bytes(data)
    found = read_csv(tmp_path / "p.csv", "p.csv", parse_columns(""), 1, ())
    assert found.score is not None and found.score.tolist() == [[0.75, 0.25], [0.5, 0.5]]
    assert found.label is not None and found.label.tolist() == [0, -1]
    assert found.videos == ("v",) and found.frame.tolist() == [0, 1]


def test_a_frame_without_a_prediction_is_named_where_it_counts(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    path.write_text("video,frame,label,prediction\nv,0,a,a\nv,1,-1,-1\nv,2,b,b\n")
    options = ReadingOptions(fps=1, classes=("a", "b"))
    assert read_one(str(path), STRICT, options).decision.tolist() == [0, 1]
    path.write_text("video,frame,label,prediction\nv,0,a,a\nv,1,b,\n")
    with pytest.raises(UserError, match="no class is predicted for frame 1 of v, which has"):
        read_one(str(path), STRICT, options)
