"""Are HeiChole's phases and instruments read as its authors distribute them?"""

import pytest

from surgvista_jax.data.datasets import heichole
from surgvista_jax.errors import UserError
from surgvista_jax.facts import instruments, phases
from tests.support import footage
from tests.support.convert_run import convert, labels, refusal, run, tracks, write


def by_frame(seconds: list[str], fps: int) -> str:
    """The official text: a line for each frame, without header, of what each second has."""
    return "".join(f"{k},{seconds[k // fps]}\n" for k in range(fps * len(seconds)))


def presence(*columns: int) -> str:
    return ",".join(str(int(k in columns)) for k in range(21))


@pytest.fixture
def source(tmp_path):
    """Video 1 at 25 frames a second, video 16 at 50, in the official folders."""
    folder = tmp_path / "HeiChole"
    for number, fps, seconds in (
        (1, 25, [(0, ()), (1, (0, 2)), (6, (5, 20))]),
        (16, 50, [(1, (6,)), (5, (4,))]),
    ):
        video = f"Hei-Chole{number}"
        for part in ("Full", "Full/HD"):
            path = folder / "Videos" / part / f"{video}.mp4"
            footage.write_video(path, fps * len(seconds), fps=fps)
        texts = {
            "Phase": [str(phase) for phase, _ in seconds],
            "Instrument": [presence(*columns) for _, columns in seconds],
        }
        for kind, lines in texts.items():
            path = folder / "Annotations" / kind / f"{video}_Annotation_{kind}.csv"
            write(path, by_frame(lines, fps))
    footage.write_video(folder / "Videos" / "Skill" / "Hei-Chole1_calot.mp4", 25)
    raw = folder / "Annotations" / "Phase" / "Raw_annotations"
    write(raw / "Hei-Chole1_Annotation_Phase.csv", "not of this form\n")
    write(folder / "Annotations" / "Phase" / "._Hei-Chole1_Annotation_Phase.csv", "of macOS\n")
    return folder


def test_phases_of_frames_at_25_and_50_a_second(source, tmp_path):
    dataset, said = convert("heichole-phases", source, tmp_path / "out")
    assert labels(dataset) == {"Hei-Chole1": (0, 1, 6), "Hei-Chole16": (1, 5)}
    assert (dataset.task, dataset.label_kind, dataset.fps) == ("phase", "single", 1.0)
    assert dataset.classes == phases.HEICHOLE
    assert dataset.splits == {"train": ("Hei-Chole1", "Hei-Chole16")}
    assert "labels of" not in said and "22 of 24 videos are not there" in said


def test_instruments_are_the_categories_0_to_6(source, tmp_path):
    dataset, said = convert("heichole_tool", source, tmp_path / "out")
    assert labels(dataset) == {"Hei-Chole1": ((), (0, 2), (5,)), "Hei-Chole16": ((6,), (4,))}
    assert (dataset.task, dataset.label_kind) == ("tool", "multi")
    assert dataset.classes == instruments.HEICHOLE
    assert "Hei-Chole1: shafts of no known category, in 33.3% of its frames, are passed" in said


def test_the_smaller_of_two_copies_of_a_video_counts(source, tmp_path):
    dataset, said = convert("heichole", source, tmp_path / "out")
    assert dataset.splits == {"train": ("Hei-Chole1", "Hei-Chole16")} and dataset.task == "none"
    assert "`heichole-phases` and `heichole_tool` read them" in said
    (source / "Videos" / "Full" / "Hei-Chole16.mp4").unlink()
    first, second = heichole.read(source).recordings
    assert first.source.key == "Videos/Full/Hei-Chole1.mp4"
    assert second.source.key == "Videos/Full/HD/Hei-Chole16.mp4"
    footage.write_video(source / "Videos" / "Half" / "Hei-Chole1.mp4", 25)
    message = refusal("heichole", source, tmp_path / "third")
    assert "Videos/Half/Hei-Chole1.mp4: a second Hei-Chole1, beside" in message


def test_names_of_label_files_go_by_any_case(source, tmp_path):
    path = source / "Annotations" / "Phase" / "Hei-Chole16_Annotation_Phase.csv"
    path.rename(path.with_name("hei-chole16_annotation_phase.csv"))
    assert tracks("heichole-phases", source)["Hei-Chole16"][99] == 5


def test_frames_at_one_a_second_have_the_labels_of_the_video(source, tmp_path):
    for path in source.glob("Videos/*/**/Hei-Chole16.mp4"):
        path.unlink()
    footage.write_images(source / "frames" / "Hei-Chole16", [(32, 32)] * 2, ".png", "{:05d}")
    dataset, _ = convert("heichole-phases", source, tmp_path / "out")
    assert labels(dataset)["Hei-Chole16"] == (1, 5)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("0,7\n", "line 1: phase '7' is not a number from 0 to 6"),
        ("0,0\n1,-1\n", "line 2: phase '-1'"),
        ("0,0\n1,\n", "line 2: no label after frame 1"),
        ("0,0\n1\n", "line 2: no label after frame 1"),
        ("0,Preparation\n", "line 1: phase 'Preparation'"),
        ("0,0,0\n", "line 1: phase '0,0'"),
        ("", "no label in it"),
    ],
)
def test_a_wrong_phase_is_named(tmp_path, lines, said):
    path = write(tmp_path / "Hei-Chole16_Annotation_Phase.csv", lines)
    with pytest.raises(UserError) as error:
        heichole.read_phases(path, 25.0)
    assert str(path) in str(error.value) and said in str(error.value)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("0," + ",".join("0" * 31), "line 1: 31 columns after the frame, 21 are due"),
        ("0,0,1", "line 1: 2 columns after the frame"),
        (f"0,{presence()}\n1,{presence().replace('0', '2', 1)}", "line 2: '2' is not 0 or 1"),
        (f"0,{presence()[:-1]}", "line 1: '' is not 0 or 1"),
        (f"0,{presence()}\n1,{presence(9)}", "frame 1: category 9 is none of 0 to 6 and 20"),
        ("frame,0,1\n", "no label in it"),
    ],
)
def test_a_wrong_line_of_instruments_is_named(tmp_path, lines, said):
    path = write(tmp_path / "Hei-Chole16_Annotation_Instrument.csv", lines)
    with pytest.raises(UserError) as error:
        heichole.read_instruments(path, 25.0)
    assert str(path) in str(error.value) and said in str(error.value)


def test_a_missing_file_is_named(source, tmp_path):
    (source / "Annotations" / "Phase" / "Hei-Chole16_Annotation_Phase.csv").unlink()
    message = refusal("heichole-phases", source, tmp_path / "out")
    assert f"{source / 'Hei-Chole16_Annotation_Phase.csv'}: missing" in message


def test_labels_of_another_rate_than_the_video_are_a_problem(source, tmp_path):
    """Of a video that was thinned out, say, whose labels go by the published rate all the same."""
    path = source / "Annotations" / "Phase" / "Hei-Chole1_Annotation_Phase.csv"
    write(path, by_frame(["0"] * 8, 25))
    words = ["--source", source, "--out", tmp_path / "out"]
    code, _, said = run("data", "convert", "heichole-phases", *words)
    assert code == 1 and "Hei-Chole1: labels last 2.67 times as long as the video" in said
