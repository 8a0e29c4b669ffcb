"""Is a dataset folder read as it was written, and every fault named with file and line?"""

import dataclasses
import json
from pathlib import Path

import pytest

from surgvista_jax.data.dataset import Dataset, Video, fingerprint
from surgvista_jax.data.storage.manifest import read_dataset, write_dataset
from surgvista_jax.errors import UserError


def dataset(folder: Path) -> Dataset:
    """A written dataset of three videos."""
    ids = ("löwe 1", "b/2", "c")
    for video in ids:
        (folder / "frames" / video).mkdir(parents=True)
    written = Dataset(
        folder=folder,
        name="Bäume",
        task="phase",
        classes=("cut", "sew"),
        label_kind="single",
        fps=1.0,
        splits={"train": ids[:2], "test": ids[2:]},
        procedure="lap. cholecystectomy",
        licence="CC0",
        citation="",
        source_format="videos",
        videos=tuple(
            Video(video, f"frames/{video}", 1.0, 3, labels, patient="p\u2028" + video)
            for video, labels in zip(ids, [(0, 1, -1), (1, 1, 1), None], strict=True)
        ),
    )
    write_dataset(written)
    return written


def edit(folder: Path, file: str, line: int, **changes) -> None:
    """Changes keys of one JSON line (or of the whole of dataset.json); `...` takes a key out."""
    path = folder / file
    whole = file == "dataset.json"
    lines = [path.read_text()] if whole else path.read_text().split("\n")
    entry = json.loads(lines[line - 1]) | changes
    entry = {key: value for key, value in entry.items() if value is not ...}
    lines[line - 1] = json.dumps(entry)
    path.write_text("\n".join(lines))


def test_what_was_written_is_read(tmp_path):
    written = dataset(tmp_path)
    assert read_dataset(tmp_path) == written
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "dataset.json",
        "frames",
        "videos.jsonl",
    ]


def test_multi_labels_are_read(tmp_path):
    dataset(tmp_path)
    edit(tmp_path, "dataset.json", 1, label_kind="multi", task="triplet")
    edit(tmp_path, "videos.jsonl", 1, labels=[[0, 1], [], -1])
    edit(tmp_path, "videos.jsonl", 2, labels=...)
    assert read_dataset(tmp_path).videos[0].labels == ((0, 1), (), -1)


def test_a_split_holds_its_videos_in_its_order(tmp_path):
    whole = dataset(tmp_path)
    edit(tmp_path, "dataset.json", 1, splits={"train": ["c", "löwe 1"], "test": ["c"]})
    split = read_dataset(tmp_path).split("train")
    assert [video.video for video in split.videos] == ["c", "löwe 1"]
    assert split.splits == {"train": ("c", "löwe 1")}
    assert split.classes == whole.classes
    with pytest.raises(UserError, match="no split 'val'; it has: train, test"):
        whole.split("val")


def test_fingerprint_tells_what_decides_the_clips(tmp_path):
    whole = dataset(tmp_path)
    first = whole.videos[0]

    def changed(**changes):
        videos = (dataclasses.replace(first, **changes), *whole.videos[1:])
        return fingerprint(dataclasses.replace(whole, videos=videos))

    assert fingerprint(read_dataset(tmp_path)) == fingerprint(whole)
    assert changed(labels=None, patient=None) == fingerprint(whole)
    decisive = [
        fingerprint(whole),
        fingerprint(whole.split("train")),
        fingerprint(dataclasses.replace(whole, videos=whole.videos[::-1])),
        changed(video="d"),
        changed(source="frames/c"),
        changed(num_frames=4),
    ]
    assert len(set(decisive)) == len(decisive)


@pytest.mark.parametrize(
    ("file", "line", "changes", "message"),
    [
        ("dataset.json", 1, {"fps": ...}, "missing 'fps'"),
        ("dataset.json", 1, {"frames": 1}, "unknown 'frames'; known: citation, classes"),
        ("dataset.json", 1, {"task": "phases"}, "'task' must be one of .* found 'phases'"),
        ("dataset.json", 1, {"label_kind": "both"}, "'label_kind' must be one of"),
        ("dataset.json", 1, {"fps": 0}, "'fps' must be a number above 0 .* found 0"),
        ("dataset.json", 1, {"fps": True}, "'fps' must be"),
        ("dataset.json", 1, {"classes": ["cut", "cut"]}, "'classes' must be"),
        ("dataset.json", 1, {"classes": "cut"}, "'classes' must be"),
        ("dataset.json", 1, {"licence": None}, "'licence' must be text"),
        ("dataset.json", 1, {"splits": ["c"]}, "'splits' must map"),
        ("dataset.json", 1, {"splits": {"train": ["c", "c"]}}, "'splits' must map"),
        ("dataset.json", 1, {"splits": {"train": ["d"]}}, r"split 'train' .* found \['d'\]"),
        ("videos.jsonl", 2, {"num_frames": ...}, "missing 'num_frames'"),
        ("videos.jsonl", 2, {"label": [0]}, "unknown 'label'; known: centre, damage, fps"),
        ("videos.jsonl", 2, {"num_frames": 0}, "'num_frames' must be 1 or more .* found 0"),
        ("videos.jsonl", 2, {"num_frames": "3"}, "'num_frames' must be"),
        ("videos.jsonl", 2, {"fps": float("nan")}, "'fps' must be a number above 0"),
        ("videos.jsonl", 2, {"video": "löwe 1"}, "a second video with the id, found 'löwe 1'"),
        ("videos.jsonl", 2, {"video": ""}, "'video' must be text"),
        ("videos.jsonl", 2, {"source": "frames/x"}, "there is no source .*frames/x"),
        ("videos.jsonl", 2, {"patient": 7}, "'patient' must be text"),
        ("videos.jsonl", 2, {"labels": [0, 1]}, "2 labels for 3 frames"),
        ("videos.jsonl", 2, {"labels": 0}, "'labels' must be a list"),
        ("videos.jsonl", 2, {"labels": [0, 2, 0]}, "label of frame 1 .* from 0 to 1, .* found 2"),
        ("videos.jsonl", 2, {"labels": [0, 1, -2]}, "label of frame 2 .* found -2"),
        ("videos.jsonl", 2, {"labels": [[0], 1, 1]}, r"label of frame 0 .* found \[0\]"),
        ("videos.jsonl", 2, {"labels": [0, True, 1]}, "label of frame 1 .* found True"),
        ("dataset.json", 1, {"fps": 10**400}, "'fps' must be .* 1,000,000.*, found 1000.*0…"),
        ("dataset.json", 1, {"name": "\ud800"}, "holds half a character"),
        ("dataset.json", 1, {"classes": [["cut"]]}, "'classes' must be"),
        ("dataset.json", 1, {"classes": None}, "'classes' must be"),
        ("dataset.json", 1, {"splits": None}, "'splits' must map"),
        ("dataset.json", 1, {"splits": {"train": "c"}}, "'splits' must map"),
        ("dataset.json", 1, {"task": ["phase"]}, "'task' must be one of"),
        ("videos.jsonl", 2, {"video": "\udfff"}, "holds half a character"),
        ("videos.jsonl", 2, {"video": "../c"}, "'video' must be an id without `..`"),
        ("videos.jsonl", 2, {"video": "/c"}, "'video' must be an id without `..`"),
        ("videos.jsonl", 2, {"video": ["c"]}, "'video' must be text"),
        ("videos.jsonl", 2, {"source": "a" * 5000}, "there is no source .*…"),
        ("videos.jsonl", 2, {"source": "\0"}, "there is no source"),
        ("videos.jsonl", 2, {"fps": 10**400}, "'fps' must be .* 1,000,000"),
        ("videos.jsonl", 2, {"fps": "25"}, "'fps' must be a number above 0 .* found '25'"),
        ("videos.jsonl", 2, {"num_frames": 10**18}, "'num_frames' must be .* 2,147,483,647"),
        ("videos.jsonl", 2, {"num_frames": 3.0}, "'num_frames' must be"),
        ("videos.jsonl", 2, {"centre": ["a"]}, "'centre' must be text"),
        ("videos.jsonl", 2, {"damage": "a"}, "'damage' must be a list of lines"),
        ("videos.jsonl", 2, {"labels": {"0": 1}}, "'labels' must be a list"),
        ("videos.jsonl", 2, {"labels": [0, 1.0, 1]}, "label of frame 1 .* found 1.0"),
        ("videos.jsonl", 2, {"labels": [0, None, 1]}, "label of frame 1 must be a class id"),
    ],
)
def test_a_fault_is_named_with_file_and_line(tmp_path, file, line, changes, message):
    dataset(tmp_path)
    edit(tmp_path, file, line, **changes)
    where = str(tmp_path / file) + (f", line {line}: " if file == "videos.jsonl" else ": ")
    with pytest.raises(UserError, match=message) as caught:
        read_dataset(tmp_path)
    assert str(caught.value).startswith(where)
    assert "\n" not in str(caught.value)


def test_multi_labels_must_be_lists(tmp_path):
    dataset(tmp_path)
    edit(tmp_path, "dataset.json", 1, label_kind="multi")
    with pytest.raises(UserError, match="line 1: label of frame 0 must be a list of class ids"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("dataset.json", None, "dataset.json: missing; `surgvista data convert`"),
        ("videos.jsonl", None, "videos.jsonl: missing"),
        ("dataset.json", b'{"name": \n "x",}', "dataset.json: not JSON: .* line 2, column"),
        ("dataset.json", b"[]", "must be a JSON object"),
        ("dataset.json", b"\xff{}", "not UTF-8"),
        ("videos.jsonl", b"", "no video in it"),
        ("videos.jsonl", b'\n{"video": ', "videos.jsonl, line 2: not JSON: .* column"),
    ],
)
def test_a_broken_file_is_named(tmp_path, file, content, message):
    dataset(tmp_path)
    (tmp_path / file).unlink()
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_dataset(tmp_path)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(UserError, match="nothing here: no such folder"):
        read_dataset(tmp_path / "nothing here")


def test_a_reader_sees_the_old_file_or_the_new_one(tmp_path):
    written = dataset(tmp_path)
    with open(tmp_path / "videos.jsonl") as old:
        write_dataset(dataclasses.replace(written, videos=written.videos[:1]))
        assert len(old.readlines()) == 3


def test_a_failed_write_leaves_the_old_dataset(tmp_path, monkeypatch):
    written = dataset(tmp_path)

    def full(*unused):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match="videos.jsonl: cannot be written .No space left"):
        write_dataset(dataclasses.replace(written, videos=written.videos[:1]))
    assert read_dataset(tmp_path) == written
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize("label", [[0, 0], [[0]], [True], ["0"], 0, None, {"0": 1}])
def test_several_labels_are_ids_each_once(tmp_path, label):
    dataset(tmp_path)
    edit(tmp_path, "dataset.json", 1, label_kind="multi", task="triplet")
    edit(tmp_path, "videos.jsonl", 1, labels=[[0, 1], label, -1])
    with pytest.raises(UserError, match="line 1: label of frame 1 must be a list of class ids"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[" * 100_000, "nests too deep"),
        ('{"fps": ' + "1" * 5000 + "}", "too many digits"),
        ("{", "column 2"),
        ("[]", "must be a JSON object"),
        ("null", "must be a JSON object"),
        ("", "column 1"),
    ],
)
def test_what_is_no_json_object_is_one_line(tmp_path, text, said):
    dataset(tmp_path)
    (tmp_path / "dataset.json").write_text(text)
    with pytest.raises(UserError, match=said) as refused:
        read_dataset(tmp_path)
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 400


def test_a_billion_frames_are_not_believed_of_a_folder_that_holds_few(tmp_path):
    dataset(tmp_path)
    edit(tmp_path, "videos.jsonl", 3, num_frames=10**9)
    said = "videos.jsonl, line 3: 'num_frames' is 1,000,000,000, but .*c holds 0 files"
    with pytest.raises(UserError, match=said):
        read_dataset(tmp_path)
    (tmp_path / "frames" / "c" / "999999999.jpg").touch()
    assert read_dataset(tmp_path).videos[2].num_frames == 10**9
