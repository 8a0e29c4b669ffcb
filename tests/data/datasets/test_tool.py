"""Is the presence of instruments read as the datasets' authors distribute it?"""

import json

import numpy as np
import pytest

from surgvista_jax.data.datasets import cholect50, registry
from surgvista_jax.data.datasets.cholect50_tool import read_instruments
from surgvista_jax.data.labels.presence import read_presence
from surgvista_jax.data.storage.open import open_frames
from surgvista_jax.facts.instruments import CHOLEC80
from surgvista_jax.facts.triplets import CHOLECT50
from tests.support import footage
from tests.support.convert_run import convert, labels, refusal, run, write
from tests.support.places import REALDATA

HEADER = "\t".join(("Frame", *CHOLEC80)) + "\n"


def official_presence(seconds: list[tuple[int, ...]]) -> str:
    """The official text: a line each 25 frames, with 1 for the instruments that are there."""
    lines = (
        "\t".join(str(int(cell)) for cell in (25 * k, *(i in there for i in range(7))))
        for k, there in enumerate(seconds)
    )
    return HEADER + "\n".join(lines) + "\n"


@pytest.fixture
def source(tmp_path):
    """Two videos in which each instrument is there, in one of the training half one at a time."""
    folder = tmp_path / "cholec 80"
    for video, there in (
        ("video01", [(k,) for k in range(7)]),
        ("video41", [(), (0, 2), tuple(range(7))]),
    ):
        footage.write_video(folder / "videos" / f"{video}.mp4", 25 * len(there))
        write(folder / "tool_annotations" / f"{video}-tool.txt", official_presence(there))
    return folder


def test_official_files_become_a_dataset(source, tmp_path):
    dataset, said = convert("cholec80_tool", source, tmp_path / "out", "--margins", "keep")
    assert (dataset.task, dataset.label_kind, dataset.fps) == ("tool", "multi", 1.0)
    assert dataset.classes == CHOLEC80
    assert labels(dataset) == {
        "video01": ((0,), (1,), (2,), (3,), (4,), (5,), (6,)),
        "video41": ((), (0, 2), (0, 1, 2, 3, 4, 5, 6)),
    }
    frames, _ = open_frames(dataset.folder, dataset.videos[1]).read(np.arange(3))
    assert footage.numbers(frames) == [0, 25, 50]
    assert dataset.splits["train"] == ("video01",)
    assert dataset.splits["test"] == dataset.splits["authors/test"] == ("video41",)
    assert "78 of 80 videos are not there" in said and "labels of" not in said


def test_a_check_finds_nothing_wrong(source, tmp_path):
    """But for the videos that the fixture lacks, and that its own are shorter than a clip."""
    convert("cholec80_tool", source, tmp_path / "out")
    code, text, _ = run("data", "check", tmp_path / "out", "--json")
    report = json.loads(text)
    assert code == 0 and (report["task"], report["classes"]) == ("tool", list(CHOLEC80))
    assert {f["topic"] for f in report["findings"] if f["level"] != "good"} == {"clips", "counts"}
    assert report["shares"]["train"] == [1, 1, 1, 1, 1, 1, 1]
    assert report["shares"]["test"] == [2, 1, 2, 1, 1, 1, 1]


@pytest.mark.parametrize("name", ["cholec80_tool", "m2cai16_tool", "cholect50_tool"])
def test_splits_margins_and_rate_are_those_of_the_videos(name):
    official = registry()[name]
    sibling = registry().get(name.removesuffix("_tool"))
    assert (official.task, official.label_kind) == ("tool", "multi")
    if name != "m2cai16_tool":  # other videos than M2CAI16-workflow's
        assert (official.extract, official.published) == (sibling.extract, sibling.published)
        assert official.citation == sibling.citation


def test_list_tells_classes_and_layout():
    code, page, _ = run("data", "list", "cholec80_tool")
    assert code == 0 and "tool_annotations/video01-tool.txt" in page
    assert "7 classes, several at a time:" in page and "6 SpecimenBag" in page
    assert "black margins are cut off" in page


def presence(*lines: str) -> str:
    """Lines of 8 cells, as written without their tabs."""
    return HEADER + "".join("\t".join(line.split()) + "\n" for line in lines)


FIRST = "0 1 0 0 0 0 0 0"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEADER.replace("Hook", "Hooks"), "line 1: no column 'Hook'"),
        (HEADER.replace("\n", "\tStapler\n") + "\t".join("0" * 9), "line 1: unknown column 'Sta"),
        (presence(FIRST, "25 1 0 2 0 0 0 0"), "line 3: column 'Hook': '2' is not 0 or 1"),
        (presence(FIRST, "25 1 0 -1 0 0 0 0"), "line 3: column 'Hook': '-1' is not 0 or 1"),
        (presence(FIRST, "x 1 0 0 0 0 0 0"), "line 3: column 'Frame': 'x' is not a whole number"),
        (presence(FIRST, "25 1 0 0 0 0 0"), "line 3: 7 cells, the header has 8"),
        (presence(FIRST, "50 1 0 0 0 0 0 0"), "line 3: frame 50, where 25 is due"),
        (presence(FIRST, FIRST), "line 3: frame 0, where 25 is due"),
        (presence("25 1 0 0 0 0 0 0"), "line 2: frame 25, where 0 is due"),
        (presence(FIRST, "1" + FIRST[1:], "3" + FIRST[1:]), "line 4: frame 3, where 2 is due"),
        (HEADER, "no label in it"),
        ("", "line 1: no column 'Frame'"),
    ],
)
def test_a_wrong_line_is_named(source, tmp_path, text, said):
    path = write(source / "tool_annotations" / "video41-tool.txt", text)
    message = refusal("cholec80_tool", source, tmp_path / "out")
    assert str(path) in message and said in message
    assert not (tmp_path / "out").exists()  # found before any frame was extracted


def test_a_missing_label_file_is_named(source, tmp_path):
    path = source / "tool_annotations" / "video41-tool.txt"
    path.unlink()
    assert f"{path}: missing" in refusal("cholec80_tool", source, tmp_path / "out")


def test_labels_of_other_lengths_than_the_video_are_said(source, tmp_path):
    for video, seconds in (("video01", 9), ("video41", 1)):
        path = source / "tool_annotations" / f"{video}-tool.txt"
        write(path, official_presence([(0,)] * seconds))
    dataset, said = convert("cholec80_tool", source, tmp_path / "out")
    assert labels(dataset) == {"video01": ((0,),) * 7, "video41": ((0,), -1, -1)}
    assert "labels of video01: labels go on for 2.0 s after the last frame" in said
    assert "labels of video41: 2 of 3 frames have none" in said
    write(source / "tool_annotations" / "video41-tool.txt", official_presence([(0,)] * 75))
    words = ["--source", source, "--out", tmp_path / "again"]
    code, _, said = run("data", "convert", "cholec80_tool", *words)
    assert code == 1 and "labels of video41: labels last 25 times as long as the video" in said


def test_columns_go_by_their_names(tmp_path):
    cells = dict(zip(CHOLEC80, "1000010", strict=True))
    header = ("Frame", *reversed(CHOLEC80))
    text = ",".join(header) + "\n0," + ",".join(cells[name] for name in header[1:]) + "\n"
    track = read_presence(write(tmp_path / "tools.csv", text), CHOLEC80, 25)
    assert track.by_number == {0: (0, 5)}


def test_a_moment_has_the_labels_of_the_nearest_line(tmp_path):
    path = write(tmp_path / "tools.txt", official_presence([(0,), (1,), (2,)]))
    track = read_presence(path, CHOLEC80, 25)
    assert track.seconds == 3.0
    assert track.at(np.array((0.0, 0.4, 0.6, 1.0, 1.5, 2.0, 2.4))) == (
        *((0,), (0,), (1,), (1,)),
        *((2,), (2,), (2,)),
    )


def test_m2cai16_tool_lies_beside_its_videos(tmp_path):
    source = tmp_path / "m2cai16-tool"
    for part, video in (("train", "tool_video_01"), ("test", "tool_video_15")):
        folder = source / f"{part}_dataset"
        footage.write_video(folder / f"{video}.mp4", 50)
        write(folder / f"{video}.txt", official_presence([(0, 6), ()]))
        write(folder / f"{video}_pred.txt", "as the challenge's evaluation leaves it\n")
    dataset, said = convert("m2cai16_tool", source, tmp_path / "out")
    assert labels(dataset) == {video: ((0, 6), ()) for video in ("tool_video_01", "tool_video_15")}
    assert dataset.splits == {"train": ("tool_video_01",), "test": ("tool_video_15",)}
    assert dataset.classes == CHOLEC80 and "13 of 15 videos are not there" in said
    path = write(source / "test_dataset" / "tool_video_15.txt", presence("25 1 0 0 0 0 0 0"))
    message = refusal("m2cai16_tool", source, tmp_path / "again")
    assert f"{path}, line 2: frame 25, where 0 is due" in message


def vector(triplet: int, instrument: int = -1) -> list[float]:
    return [triplet, instrument, *[-1] * 12, 0]


def test_cholect50_tool_names_the_instruments_of_triplets(tmp_path):
    source = tmp_path / "t50"
    annotations = {
        "0": [vector(17, 0), vector(58, 2)],  # grasper and hook
        "1": [vector(17, 0), vector(7, 0)],  # two graspers are one class
        "2": [vector(99, 5)],  # an irrigator that does nothing
        "3": [vector(-1)],
        "4": [vector(-1, 3)],  # told to be there, without a triplet
    }
    for video in ("VID01", "VID92"):
        footage.write_images(source / "videos" / video, [(32, 32)] * 5, ".png", "{:06d}")
        write(source / "labels" / f"{video}.json", json.dumps({"annotations": annotations}))
    dataset, said = convert("cholect50_tool", source, tmp_path / "out")
    assert dataset.classes == CHOLECT50.instruments
    assert (dataset.task, dataset.label_kind) == ("tool", "multi")
    assert labels(dataset)["VID01"] == ((0, 2), (0,), (5,), (), ())
    assert dataset.splits["train"] == ("VID01",) and dataset.splits["test"] == ("VID92",)
    assert dataset.splits["rdv/train"] == ("VID01", "VID92")
    assert "1 instruments without a triplet are passed over" in said
    path = write(source / "labels" / "VID92.json", json.dumps({"annotations": {"0": [[100]]}}))
    message = refusal("cholect50_tool", source, tmp_path / "again")
    assert f"{path}, frame 0: must be a list of 15 numbers" in message


def test_real_triplets_name_the_instruments_that_their_vectors_do():
    folder = REALDATA / "cholect50" / "labels"
    if not folder.is_dir():
        pytest.skip("no real labels beside the checkout")
    for path in sorted(folder.glob("*.json")):
        ours = read_instruments(path).by_number
        theirs = {
            frame: tuple(sorted({int(v[1]) for v in vectors if v[0] >= 0}))
            for frame, vectors in cholect50.read_annotations(path).items()
        }
        assert ours == theirs and any(len(there) > 1 for there in ours.values())
