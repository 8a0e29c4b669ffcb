"""Are PSI-AVA's phases and steps read as its authors distribute them?"""

import pytest

from surgvista_jax.data.dataset import UNLABELLED
from surgvista_jax.data.datasets import find, psi_ava
from surgvista_jax.errors import UserError
from surgvista_jax.facts import phases
from tests.support import footage
from tests.support.convert_run import convert, labels, refusal, tracks, write


def lines(case: str, *seconds: tuple[int, int, int]) -> str:
    """The official text: a line for each second, step and phase."""
    return "".join(
        f"{case},{second},{second + 1},0.0,0.0,0.0,0.0,0,-1,-1,0,{step},{phase}\n"
        for second, step, phase in seconds
    )


TRAIN = lines("CASE001", (0, 1, 1), (1, 18, 1), (2, 0, 0))
VAL = lines("CASE002", (1, 20, 8), (2, 15, 10))  # as in the authors' file, without second 0


@pytest.fixture
def source(tmp_path):
    """The authors' folders: images of two operations, lists of two folds and of key frames."""
    folder = tmp_path / "psi ava"
    for case in ("CASE001", "CASE002"):
        footage.write_images(folder / "keyframes" / case, [(32, 32)] * 3, ".jpg", "{:05d}")
    annotations = folder / "outputs" / "data_annotations"
    for fold, train, val in (("fold1", TRAIN, VAL), ("fold2", VAL, TRAIN)):
        for name, text in (("train.csv", train), ("val.csv", val), ("val_preds.csv", "other\n")):
            write(annotations / "psi-ava_extended" / fold / "annotations" / name, text)
        write(annotations / "psi-ava" / fold / "annotations" / "train.csv", "sparse\n")
    return folder


def list_of(source, fold: str, name: str):
    folder = source / "outputs" / "data_annotations" / "psi-ava_extended"
    return folder / fold / "annotations" / name


def test_phases_and_steps_go_by_their_official_numbers(source, tmp_path):
    dataset, said = convert("psi-ava-phases", source, tmp_path / "phases")
    assert labels(dataset) == {"CASE001": (1, 1, 0), "CASE002": (-1, 8, 10)}
    assert dataset.classes == phases.PSI_AVA_PHASES and len(dataset.classes) == 11
    assert "labels of CASE002: 1 of 3 frames have none" in said
    assert "6 of 8 videos are not there and left out: CASE003" in said
    assert (dataset.task, dataset.label_kind, dataset.fps) == ("phase", "single", 1.0)
    assert tracks("psi-ava-steps", source) == {
        "CASE001": {0: 1, 1: 18, 2: 0},
        "CASE002": {1: 20, 2: 15},
    }
    assert find("psi-ava-steps").classes == phases.PSI_AVA_STEPS
    assert len(phases.PSI_AVA_STEPS) == 21


def test_each_fold_trains_on_what_the_other_validates_on(source):
    splits = find("psi-ava-steps").read(source).splits
    first = ("CASE001", "CASE004", "CASE014", "CASE015")
    second = ("CASE002", "CASE003", "CASE007", "CASE021")
    assert dict(splits) == {
        **{"train": first, "val": second, "fold1/train": first, "fold1/val": second},
        **{"fold2/train": second, "fold2/val": first},
    }


def test_labels_go_by_the_numbers_of_images(source, tmp_path):
    (source / "keyframes" / "CASE001" / "00001.jpg").unlink()
    dataset, _ = convert("psi-ava-steps", source, tmp_path / "out")
    assert labels(dataset)["CASE001"] == (1, 0)


def test_a_video_goes_by_its_seconds(source, tmp_path):
    for path in (source / "keyframes" / "CASE001").iterdir():
        path.unlink()
    footage.write_video(source / "CASE001.mp4", 90, fps=30)
    dataset, _ = convert("psi-ava-steps", source, tmp_path / "out")
    assert labels(dataset)["CASE001"] == (1, 18, 0)


def test_several_lines_of_a_second_agree(tmp_path):
    path = write(tmp_path / "train.csv", TRAIN + lines("CASE001", (1, 18, 1)))
    track = psi_ava.read_seconds([path], "CASE001", psi_ava.PHASE, 11)
    assert track.by_number == {0: 1, 1: 1, 2: 0}
    write(path, TRAIN + lines("CASE001", (1, 18, 10)))
    with pytest.raises(UserError) as error:
        psi_ava.read_seconds([path], "CASE001", psi_ava.PHASE, 11)
    said = "line 4: step 18 and phase 10 of a second that line 2 gives others"
    assert f"{path}, {said}" in str(error.value)


def test_lists_that_contradict_each_other_are_named(tmp_path):
    paths = [write(tmp_path / name, TRAIN) for name in ("train.csv", "val.csv")]
    assert len(psi_ava.read_seconds(paths, "CASE001", psi_ava.PHASE, 11).by_number) == 3
    write(paths[1], TRAIN.replace("18,1", "18,3"))
    with pytest.raises(UserError) as error:
        psi_ava.read_seconds(paths, "CASE001", psi_ava.PHASE, 11)
    assert f"{paths[1]}, line 2: second 1 of CASE001 is 3, elsewhere 1" in str(error.value)


def test_minus_1_is_unlabelled(tmp_path):
    path = write(tmp_path / "train.csv", TRAIN.replace("0,0\n", "-1,-1\n"))
    track = psi_ava.read_seconds([path], "CASE001", psi_ava.PHASE, 11)
    assert track.by_number == {0: 1, 1: 1, 2: UNLABELLED}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TRAIN.replace("18,1\n", "18,11\n"), "line 2: cell 13 is 11, not from 0 to 10"),
        (TRAIN.replace("18,1\n", "18,\n"), "line 2: cell 13: '' is not a whole number"),
        (TRAIN.replace("18,1\n", "nan,1\n"), "line 2: cell 12: 'nan' is not a whole number"),
        (TRAIN.replace("18,1\n", "18,1,0.9\n"), "line 2: 14 cells, 13 are due"),
        (TRAIN.replace("CASE001,1,", "CASE001,x,"), "line 2: cell 2: 'x' is not a whole number"),
        (TRAIN.replace("CASE001,1,", "CASE001,-1,"), "line 2: second -1 is below 0"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, text, said):
    path = write(tmp_path / "train.csv", text)
    with pytest.raises(UserError) as error:
        psi_ava.read_seconds([path], "CASE001", psi_ava.PHASE, 11)
    assert f"{path}, {said}" in str(error.value)


def test_missing_lists_and_operations_are_named(source, tmp_path):
    for fold in ("fold1", "fold2"):
        for name in ("train.csv", "val.csv"):
            write(list_of(source, fold, name), TRAIN)
    message = refusal("psi-ava-steps", source, tmp_path / "out")
    assert "psi-ava_extended: no line of CASE002 in any train.csv or val.csv" in message
    for path in source.rglob("psi-ava_extended/**/*.csv"):
        path.unlink()
    message = refusal("psi-ava-steps", source, tmp_path / "again")
    assert f"{source}: no psi-ava_extended/fold1/annotations/train.csv or the like" in message


def test_pretraining_leaves_labels_alone(source, tmp_path):
    dataset, said = convert("psi-ava", source, tmp_path / "out")
    assert dataset.task == "none" and dataset.splits == {"train": ("CASE001", "CASE002")}
    assert "`psi-ava-phases` and `psi-ava-steps` read them" in said
