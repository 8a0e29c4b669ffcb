"""Are PitVis' steps and instruments read as its authors distribute them?"""

import pytest

from surgvista_jax.data.datasets import find, pitvis
from surgvista_jax.errors import UserError
from surgvista_jax.facts import instruments, phases
from tests.support import footage
from tests.support.convert_run import convert, labels, refusal, tracks, write

HEADER = "int_video,int_time,int_step,int_instrument1,int_instrument2\n"


def annotations(number: int, *seconds: str) -> str:
    """The official text: step and both instruments of each second."""
    lines = (f"{number},{second},{','.join(cells.split())}" for second, cells in enumerate(seconds))
    return HEADER + "\n".join(lines) + "\n"


@pytest.fixture
def source(tmp_path):
    """Videos 1, 2 and 24, the last at 25 frames a second; a line more than seconds in each."""
    folder = tmp_path / "26531686"
    for number, fps, seconds in (
        (2, 24, ("-1 -1 -2", "1 0 -2", "7 13 16", "13 9 0", "-1 -1 -2")),
        (24, 25, ("-1 -1 -2", "14 18 -2", "11 16 -2", "-1 -1 -2")),
    ):
        footage.write_video(folder / f"video_{number:02d}.mp4", fps * (len(seconds) - 1), fps=fps)
        write(folder / f"annotations_{number:02d}.csv", annotations(number, *seconds))
    return folder


def test_steps_go_by_their_official_numbers_and_minus_1_is_class_0(source, tmp_path):
    dataset, said = convert("pitvis-steps", source, tmp_path / "out")
    assert labels(dataset) == {"video_02": (0, 1, 7, 13), "video_24": (0, 14, 11)}
    assert (dataset.task, dataset.label_kind, dataset.fps) == ("phase", "single", 1.0)
    assert dataset.classes == phases.PITVIS and dataset.classes[7] == "tumour_excision"
    assert dataset.splits == {"train": ("video_02",), "val": ("video_24",)}
    assert dataset.videos[0].patient == "pitvis-video_02"
    assert "labels of" not in said  # the line more than frames is how the files are
    assert "23 of 25 videos are not there and left out: video_01, video_03" in said


def test_instruments_are_those_of_both_columns(source, tmp_path):
    dataset, said = convert("pitvis_tool", source, tmp_path / "out")
    assert labels(dataset) == {
        "video_02": (-1, (0,), (13, 16), (9,)),
        "video_24": (-1, (18,), (16,)),
    }
    assert (dataset.task, dataset.label_kind) == ("tool", "multi")
    assert dataset.classes == instruments.PITVIS and dataset.classes[16] == "suction"
    assert "labels of video_02: 1 seconds name none beside an instrument, which counts" in said


def test_video_19_is_left_out_for_want_of_labels_and_pretrains(source, tmp_path):
    footage.write_video(source / "video_19.mp4", 48, fps=24)
    reading = find("pitvis-steps").read(source)
    assert [recording.source.video for recording in reading.recordings] == ["video_02", "video_24"]
    assert "video_19: left out: there is no annotations_19.csv" in str(reading.notes[0])
    dataset, said = convert("pitvis", source, tmp_path / "all")
    assert dataset.splits == {"train": ("video_02", "video_19", "video_24")}
    assert dataset.task == "none" and "`pitvis-steps` and `pitvis_tool` read them" in said
    write(source / "annotations_19.csv", annotations(19, "1 0 -2", "2 0 -2"))
    reading = find("pitvis-steps").read(source)
    assert reading.splits["train"] == ["video_02", "video_19"]


def test_label_files_lie_at_any_depth_and_only_once(source, tmp_path):
    path = source / "annotations_24.csv"
    moved = source / "raw" / "annotations" / "annotations_24.csv"
    moved.parent.mkdir(parents=True)
    path.rename(moved)
    assert tracks("pitvis-steps", source)["video_24"] == {0: 0, 1: 14, 2: 11, 3: 0}
    write(path, moved.read_text())
    message = refusal("pitvis-steps", source, tmp_path / "again")
    assert f"{moved}: a second file of labels, beside {path}; keep one" in message


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["24,0,0,0,-2"], "line 2: step 0 is neither -1 nor from 1 to 14"),
        (["24,0,15,0,-2"], "line 2: step 15"),
        (["24,0,,0,-2"], "line 2: column 'int_step': '' is not a whole number"),
        (["24,0,nan,0,-2"], "line 2: column 'int_step': 'nan' is not a whole number"),
        (["24,0,1.5,0,-2"], "line 2: column 'int_step': '1.5' is not a whole number"),
        (["24,0,1,0"], "line 2: 4 cells, the header has 5"),
        (["2,0,1,0,-2"], "line 2: int_video 2, in the file of video 24"),
        (["24,0,1,0,-2", "24,0,1,0,-2"], "line 3: int_time 0 after 0; seconds must rise"),
        (["24,1,1,0,-2", "24,0,1,0,-2"], "line 3: int_time 0 after 1"),
        (["24,-1,1,0,-2"], "line 2: int_time -1; seconds must rise from 0"),
        ([], "no label in it"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, lines, said):
    path = write(tmp_path / "annotations_24.csv", HEADER + "".join(f"{n}\n" for n in lines))
    with pytest.raises(UserError) as error:
        pitvis.read_steps(path, 24)
    assert str(path) in str(error.value) and said in str(error.value)


@pytest.mark.parametrize(
    ("cells", "said"),
    [
        ("19,-2", "line 2: int_instrument1 19 is neither -1 nor from 0 to 18"),
        ("-2,-2", "line 2: int_instrument1 -2"),
        ("16,19", "line 2: int_instrument2 19 is neither -2 nor from 0 to 18"),
        ("16,", "line 2: column 'int_instrument2': '' is not a whole number"),
    ],
)
def test_a_wrong_instrument_is_named(tmp_path, cells, said):
    path = write(tmp_path / "annotations_24.csv", f"{HEADER}24,0,1,{cells}\n")
    with pytest.raises(UserError) as error:
        pitvis.read_instruments(path, 24)
    assert f"{path}, {said}" in str(error.value)


def test_whole_numbers_may_be_written_with_a_point(tmp_path):
    path = write(tmp_path / "annotations_24.csv", HEADER + "24.0,0.0,14.0,18.0,-2.0\n")
    assert pitvis.read_steps(path, 24).by_number == {0: 14}
    assert pitvis.read_instruments(path, 24).by_number == {0: (18,)}


def test_a_missing_column_or_file_is_named(source, tmp_path):
    path = source / "annotations_24.csv"
    write(path, path.read_text().replace("int_step", "step"))
    message = refusal("pitvis-steps", source, tmp_path / "out")
    assert f"{path}, line 1: no column 'int_step'" in message
    path.unlink()
    assert f"{path}: missing" in refusal("pitvis-steps", source, tmp_path / "out")


def test_lines_too_few_and_too_many_are_said(source, tmp_path):
    write(source / "annotations_02.csv", annotations(2, "1 0 -2", "2 0 -2", "2 0 -2"))
    footage.write_video(source / "video_02.mp4", 5 * 24, fps=24)
    write(source / "annotations_24.csv", annotations(24, *["1 0 -2"] * 5))
    dataset, said = convert("pitvis-steps", source, tmp_path / "out")
    assert labels(dataset) == {"video_02": (1, 2, 2, -1, -1), "video_24": (1, 1, 1)}
    assert "labels of video_02: the last 2.0 s have no label" in said
    assert "labels of video_24: labels go on for 2.0 s after the last frame" in said
