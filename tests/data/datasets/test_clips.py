"""Are the action and critical-view datasets read as their authors distribute them?"""

import pytest

from tests.support import footage
from tests.support.convert_run import convert, labels, refusal, write


def test_surgicalactions160_keeps_every_frame_and_counts_actions_from_0(tmp_path):
    source = tmp_path / "sa"
    for name in ("01_01", "01_02", "16_10"):
        footage.write_video(source / "clips" / f"{name}.mp4", 30)
    dataset, said = convert("surgicalactions160", source, tmp_path / "out")
    assert dataset.fps == 25.0
    assert labels(dataset) == {"01_01": (0,) * 30, "01_02": (0,) * 30, "16_10": (15,) * 30}
    assert sorted(v for ids in dataset.splits.values() for v in ids) == ["01_01", "01_02", "16_10"]
    assert "7 of 10 clips of each action train" in said and "numbered from 1" in said
    write(source / "train.txt", "01_01\n16_10\n")
    write(source / "test.txt", "01_02\n")
    dataset, _ = convert("surgicalactions160", source, tmp_path / "again")
    assert dataset.splits == {"train": ("01_01", "16_10"), "test": ("01_02",)}
    write(source / "test.txt", "01_02\n01_03\n")
    message = refusal("surgicalactions160", source, tmp_path / "third")
    assert f"{source / 'test.txt'}, line 2: there is no clip '01_03'" in message
    footage.write_video(source / "clips" / "17_01.mp4", 30)
    message = refusal("surgicalactions160", source, tmp_path / "fourth")
    assert "17_01.mp4: begins with 17; actions are 1 to 16" in message


def test_cholec80_cvs_leaves_out_the_highest_score(tmp_path):
    source = tmp_path / "cvs"
    for clip in ("video01_1", "video01_2", "video41_1"):
        footage.write_images(source / "videos" / clip, [(32, 32)] * 3)
    text = "video,clip,structures,total\nvideo01,1,2,4\nvideo01,2,2,6\nvideo41,1,0,0\n"
    path = write(source / "labels.csv", text)
    dataset, said = convert("cholec80-cvs", source, tmp_path / "out")
    assert labels(dataset) == {"video01_1": (4, 4, 4), "video41_1": (0, 0, 0)}
    usual = {"train": ("video01_1",), "test": ("video41_1",)}
    own = {"colenet/train": ("video41_1",), "colenet/val": ("video01_1",)}
    assert dataset.splits == usual | own
    assert "1 clips of score 6 are left out" in said
    assert dataset.videos[0].patient == "cholec80-video01"
    write(path, text + "video42,1,0,7\n")
    message = refusal("cholec80-cvs", source, tmp_path / "again")
    assert f"{path}, line 5: score 7 is not from 0 to 6" in message


def endoscapes_folder(folder):
    for split, video, numbers in (
        ("train", "1", (950, 975, 1000)),
        ("train", "2", (0,)),
        ("val", "121", (25,)),
        ("test", "162", (25,)),
    ):
        for number in numbers:
            footage.write_images(folder / split, [(32, 32)], ".jpg", f"{video}_{number}")
    write(folder / "train_vids.txt", "1.000000000000000000e+00\n2.0e+00\n")
    write(folder / "val_vids.txt", "121\n")
    write(folder / "test_vids.txt", "162\n")
    text = (
        'vid,frame,avg_cvs,note\n1,975,"[0.3333333, 0.6666667, 1.0]",a\n1,1000,"[0, 0, 0]",b\n'
        '2,0,,\n121,25,"[1, 1, 1]",\n162,25,"[0.3333, 0, 0]",\n'
    )
    return write(folder / "all_metadata.csv", text)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("endoscapes", {"1": (-1, (1, 2), ()), "2": (-1,), "121": ((0, 1, 2),), "162": ((),)}),
        ("endoscapes-count", {"1": (-1, 3, 0), "2": (-1,), "121": (3,), "162": (1,)}),
    ],
)
def test_endoscapes_in_both_forms(tmp_path, name, expected):
    path = endoscapes_folder(tmp_path / "e")
    dataset, said = convert(name, tmp_path / "e", tmp_path / "out")
    # Frames in the order of their numbers, 950 before 1000, whatever their names sort to.
    assert labels(dataset) == expected
    assert dataset.splits == {"train": ("1", "2"), "val": ("121",), "test": ("162",)}
    assert "frames without a rating are unlabelled" in said
    # Frames of the official files are a second apart, rated ones 5: the same frames either way.
    assert "is clip.stride=20 here" in said
    assert "labels of 2: no frame has a label" in said
    write(path, 'vid,frame,avg_cvs\n1,975,"[0.3, 2.0, 1.0]"\n')
    message = refusal(name, tmp_path / "e", tmp_path / "again")
    assert f"{path}, line 2: avg_cvs" in message
    write(tmp_path / "e" / "val_vids.txt", "121\nx\n")
    assert "val_vids.txt, line 2: 'x' is not" in refusal(name, tmp_path / "e", tmp_path / "third")
