"""Do one's own label files reach the frames they speak of?"""

import numpy as np
import pytest

from surgvista_jax.data.conversion.extract import ExtractConfig
from surgvista_jax.data.conversion.own_videos import convert_given
from surgvista_jax.data.conversion.sources import find_given
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.synthetic.operation import ACTIONS, CVS_CRITERIA, PHASES, TRIPLETS
from surgvista_jax.synthetic.plan import plan_operation
from surgvista_jax.synthetic.write import _seed_of, write_videos
from tests.support import footage
from tests.support.convert_run import convert, labels, refusal, run, write


@pytest.fixture
def source(tmp_path):
    for video in ("a", "day 1/b"):
        footage.write_video(tmp_path / "in" / f"{video}.mp4", 250)
    return tmp_path / "in"


def test_intervals_of_all_videos_in_one_file(source, tmp_path):
    path = write(
        tmp_path / "labels.csv",
        "video;start;end;label\na;0;0:04;rest\na;3;6.5;cut, deep\na;0:08;0:09;rest\n"
        "day 1/b;0:00:01;0:00:19;rest\n",
    )
    dataset, said = convert("videos", source, tmp_path / "out", "--labels", path)
    assert (dataset.task, dataset.classes) == ("phase", ("rest", "cut, deep"))
    assert labels(dataset) == {
        "a": (0, 0, 0, 1, 1, 1, 1, -1, 0, -1),
        "day 1/b": (-1, 0, 0, 0, 0, 0, 0, 0, 0, 0),
    }
    assert "labels of a: intervals overlap for 1.0 s" in said
    assert "labels of a: intervals leave 1.5 s between them" in said
    assert "labels of day 1/b: labels go on for 9.0 s after the last frame" in said
    assert "class ids follow the order in which the files name them: rest, cut, deep" in said


def test_a_file_of_seconds_for_each_video(source, tmp_path):
    folder = tmp_path / "labels"
    write(folder / "a.csv", "second,phase\n" + "".join(f"{k},p{k // 5}\n" for k in range(10)))
    write(folder / "day 1" / "b.csv", "second,phase\n0,p1\n9,p0\n")
    words = ["--labels", folder, "--classes", "p0, p1, p2", "--fps", "2"]
    dataset, said = convert("videos", source, tmp_path / "out", *words)
    assert dataset.classes == ("p0", "p1", "p2")
    # A second lasts until the next, the last one as long as the others.
    assert labels(dataset)["a"] == (0,) * 10 + (1,) * 10
    assert labels(dataset)["day 1/b"] == (1, 1, *[-1] * 16, 0, 0)
    assert "labels of day 1/b: 16 of 20 frames have none" in said


def test_instruments_that_are_there(source, tmp_path):
    lines = "a,0,grasper;hook\na,1,\na,2,clipper\nday 1/b,0,hook\n"
    path = write(tmp_path / "labels.csv", "video,second,tools\n" + lines)
    words = ["--labels", path, "--task", "tool", "--classes", "grasper,hook,clipper"]
    convert("videos", source, tmp_path / "out", *words)
    dataset = read_dataset(tmp_path / "out")
    assert (dataset.task, dataset.label_kind) == ("tool", "multi")
    # No instrument is an empty list; a second without a line is unlabelled.
    assert labels(dataset)["a"][:4] == ((0, 1), (), (2,), -1)


def test_splits_of_ones_own(source, tmp_path):
    path = write(tmp_path / "splits.csv", "video,split\na,train\nday 1/b,test\n")
    dataset, _ = convert("videos", source, tmp_path / "out", "--splits", path)
    assert dataset.task == "none" and dataset.splits == {"train": ("a",), "test": ("day 1/b",)}
    write(path, "video,split\na,train\nc,test\n")
    message = refusal("videos", source, tmp_path / "again", "--splits", path)
    assert f"{path}, line 3: no video 'c'" in message


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("video,start,end,label\na,5,4,rest\n", (), "line 2: end 4 s is not after start 5 s"),
        ("video,start,end,label\na,5,x,rest\n", (), "line 2: column 'end': 'x' is neither seconds"),
        ("video,start,end,label\nc,5,6,rest\n", (), "line 2: no video 'c'; the first is 'a'"),
        ("video,start,end,name\na,5,6,rest\n", (), "line 2: no column of labels"),
        ("video,begin,end,label\na,5,6,rest\n", (), "line 2: columns start and end, or second"),
        ("video,second,label\na,5,rest\na,5,cut\n", (), "line 3: second 5 is below 0 or occurs"),
        ("video,second,label\na,5,rest\n", ("--classes", "cut"), "line 2: unknown class 'rest'"),
        ("second,label\n5,rest\n", (), "line 1: no column 'video'"),
        ("video,second,label\na,5\n", (), "line 2: 2 cells, the header has 3"),
    ],
)
def test_a_wrong_line_is_named(source, tmp_path, text, options, said):
    path = write(tmp_path / "labels.csv", text)
    message = refusal("videos", source, tmp_path / "out", "--labels", path, *options)
    assert str(path) in message and said in message


def test_the_synthetic_operations_keep_their_labels(tmp_path):
    """Every task's labels of a generated operation, at another rate than its own."""
    source = tmp_path / "made up"
    write_videos(source, num_videos=2, seed=3, num_frames=60, fps=5, size=32)
    plans = [plan_operation(_seed_of(3, k), 60, 5, f"operation_{k:02d}") for k in range(2)]
    at = np.arange(12) * 5
    names = ["-".join(triplet) for triplet in TRIPLETS]
    for task, classes, expected in (
        ("phase", PHASES, lambda plan: tuple(plan.phase[at].tolist())),
        ("action", ACTIONS, lambda plan: tuple(plan.action[at].tolist())),
        (
            "triplet",
            names,
            lambda p: tuple(tuple(np.flatnonzero(r).tolist()) for r in p.triplets[at]),
        ),
        (
            "cvs",
            CVS_CRITERIA,
            lambda p: tuple(tuple(np.flatnonzero(r).tolist()) for r in p.cvs[at]),
        ),
    ):
        words = ["--labels", source, "--task", task, "--classes", ",".join(classes)]
        out = tmp_path / task
        convert("videos", source, out, *words)
        dataset = read_dataset(out)
        assert dataset.classes == tuple(classes) and dataset.task == task
        for video, plan in zip(dataset.videos, plans, strict=True):
            assert video.labels == expected(plan)


def test_what_no_run_will_see_is_said(source, tmp_path):
    """A video that --splits leaves out, and one whose source is gone."""
    path = write(tmp_path / "splits.csv", "video,split\na,Train\n")
    dataset, said = convert("videos", source, tmp_path / "out", "--splits", path)
    assert dataset.splits == {"train": ("a",)}
    assert "1 of 2 videos are in no split; no run sees them: day 1/b" in said
    assert "split 'train', 'Train' are one" in said
    (source / "day 1" / "b.mp4").unlink()
    dataset, said = convert("videos", source, tmp_path / "out", "--splits", path)
    assert [video.video for video in dataset.videos] == ["a", "day 1/b"]
    assert "of 1 video the source is gone (day 1/b): they stay in the dataset" in said
    assert "are in no split" not in said and (tmp_path / "out/frames/day 1/b/000000.jpg").exists()


def test_labels_that_count_from_1_are_a_problem_with_both_numberings(source, tmp_path):
    lines = "".join(f"{v},{k},p{k // 5}\n" for v in ("a", "day 1/b") for k in range(1, 11))
    path = write(tmp_path / "labels.csv", "video,second,label\n" + lines)
    code, _, said = run(
        "data", "convert", "videos", "--source", source, "--out", tmp_path / "out", "--labels", path
    )
    assert code == 1
    assert "labels of a: its labels are of seconds 1 … 10, the video's are 0 … 9" in said


def test_what_labels_nothing_is_said(source, tmp_path):
    text = "video,start,end,label\na,0,5,cut\na,12.5,14,sew\n"
    path = write(tmp_path / "labels.csv", text)
    _, said = convert("videos", source, tmp_path / "out", "--labels", path)
    assert "1 interval(s) after the last frame label none: sew 12.50-14.00 s of a" in said
    assert f"labels of day 1/b: there is no line of it in {path}: unlabelled" in said
    for number, text in enumerate(("second,label\n", "second,label\n0,-1\n1,nan\n")):
        write(tmp_path / str(number) / "a.csv", text)
        options = ("--labels", tmp_path / str(number))
        message = refusal("videos", source, tmp_path / f"out{number}", *options)
        assert "no line with a label in it" in message or "no label in it" in message
        message = refusal("videos", source, tmp_path / f"out{number}", *options, "--classes", "x")
        assert "no line with a label in it" in message or "no video has a label" in message


def test_a_video_file_as_source_is_its_only_video(source, tmp_path):
    dataset, _ = convert("videos", source / "a.mp4", tmp_path / "out")
    assert [video.video for video in dataset.videos] == ["a"] and dataset.name == "a"


def test_a_problem_is_found_by_the_id_that_its_video_has_kept(tmp_path):
    """Two of a name have their suffix in the id, but not the one that was there first."""
    torn = footage.set_avi_length(footage.write_video(tmp_path / "in" / "a.avi", 5), 60)
    for expected in ({"a"}, {"a", "a.mp4"}):
        given = find_given([tmp_path / "in"], skip=tmp_path / "out")
        config, out = ExtractConfig(5.0), tmp_path / "out"
        conversion = convert_given(*given, out, config, lambda ids: None)
        assert {video.video for video in conversion.dataset.videos} == expected
        said = tuple(problem.text for problem in conversion.problems)
        for dataset in (conversion.dataset, read_dataset(out)):
            damage = {v.video: v.damage for v in dataset.videos}
            assert damage == dict.fromkeys(expected) | {"a": said} and len(said) == 1
        footage.write_video(torn.with_suffix(".mp4"), 5)
