"""What a command wrote it may replace; what anybody else wrote, or changed since, it refuses."""

import argparse
import json
import os

import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.json_lines import read_lines
from surgvista_jax.ownership import RECORD, Foreign, add_overwrite, in_folder
from surgvista_jax.record import Record
from surgvista_jax.writing import CannotWrite, replacing, write_text


def write(owned, path, text):
    owned.check([path])
    write_text(path, text, owned)


def test_what_was_written_is_replaced_and_what_was_edited_since_is_not(tmp_path):
    owned, path = in_folder(tmp_path), tmp_path / "deep" / "x"
    for text in ("one", "two", "one"):
        write(owned, path, text)
    path.write_text("One")  # as long as before
    with pytest.raises(Foreign, match=r"deep/x: is there already .* changed since; --overwrite"):
        owned.check([tmp_path / "new", path])
    with pytest.raises(Foreign):
        write_text(path, "three", owned)
    assert path.read_text() == "One"
    write(in_folder(tmp_path, overwrite=True), path, "three")
    write(owned, path, "four")
    assert path.read_text() == "four"
    assert sorted(name for name in os.listdir(tmp_path)) == [RECORD, "deep"]


def test_what_somebody_else_wrote_is_refused_also_through_a_link(tmp_path):
    (tmp_path / "theirs").write_text("theirs")
    (tmp_path / "link").symlink_to("theirs")
    (tmp_path / "nowhere").symlink_to("gone")
    for name in ("theirs", "link"):
        with pytest.raises(Foreign):
            in_folder(tmp_path).check([tmp_path / name])
    assert not (tmp_path / RECORD).exists()
    write(in_folder(tmp_path), tmp_path / "nowhere", "ours")
    assert (tmp_path / "gone").read_text() == "ours"
    (tmp_path / "folder").mkdir()
    with pytest.raises(UserError, match="folder: cannot be written .Is a directory"):
        in_folder(tmp_path, overwrite=True).check([tmp_path / "folder"])


def test_a_device_is_no_file_of_anybody(tmp_path):
    owned = in_folder(tmp_path)
    os.mkfifo(tmp_path / "pipe")
    owned.check([tmp_path / "pipe", tmp_path / "missing"])
    write_text("/dev/null", "x", in_folder(tmp_path / "nothing"))
    assert os.listdir(tmp_path) == ["pipe"]


def test_a_kill_before_or_after_the_file_took_its_place_leaves_a_file_that_is_known(tmp_path):
    owned, path = in_folder(tmp_path), tmp_path / "x"
    write(owned, path, "old")
    aside = tmp_path / "aside"
    aside.write_text("new")
    owned(path, aside)  # noted, and killed before it was moved
    assert owned.wrote(path)
    aside.replace(path)
    assert owned.wrote(path)


def test_a_line_that_was_cut_short_is_replaced_by_the_next(tmp_path):
    owned = in_folder(tmp_path)
    write(owned, tmp_path / "x", "x")
    with open(tmp_path / RECORD, "a") as file:
        file.write('{"file": "y", "si')
    assert owned.wrote(tmp_path / "x")
    write(owned, tmp_path / "y", "y")
    lines = [json.loads(line) for line in (tmp_path / RECORD).read_text().splitlines()]
    assert [line["file"] for line in lines] == ["x", "y"]


def test_what_comes_after_the_check_is_not_replaced_either(tmp_path):
    owned, path = in_folder(tmp_path), tmp_path / "x"
    with pytest.raises(Foreign), replacing(path, owned) as aside:
        aside.write_text("ours")
        path.write_text("theirs")

    def late(path, aside):  # between the guard and the move
        path.write_text("theirs, later")

    path.unlink()
    with pytest.raises(CannotWrite, match="File exists"), replacing(path, late) as aside:
        aside.write_text("ours")
    assert path.read_text() == "theirs, later"


def test_files_of_earlier_versions_are_noted_as_they_are(tmp_path):
    path = tmp_path / "x"
    path.write_text("of an earlier version")
    owned = in_folder(tmp_path, earlier=lambda path: not (tmp_path / RECORD).exists())
    owned.check([path])
    assert owned.wrote(path)
    path.write_text("edited")
    with pytest.raises(Foreign):
        owned.check([path])


def test_a_broken_line_of_the_record_is_named(tmp_path):
    write(in_folder(tmp_path), tmp_path / "x", "x")
    record = tmp_path / RECORD
    record.write_bytes(b"\xff\n" + record.read_bytes())
    with pytest.raises(UserError, match=f"{RECORD}, line 1: .*delete that line"):
        in_folder(tmp_path).check([tmp_path / "x"])


def test_the_option_is_off_unless_it_is_said():
    parser = argparse.ArgumentParser()
    add_overwrite(parser)
    assert [parser.parse_args(words).overwrite for words in ([], ["--overwrite"])] == [False, True]


@pytest.mark.parametrize("theirs", ["mine\n", "mine", '{"a": 1}\n', "link", "nowhere", "folder"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_record_that_is_not_ours_is_neither_followed_nor_added_to(theirs, overwrite, tmp_path):
    record, elsewhere = tmp_path / "out" / RECORD, tmp_path / "elsewhere"
    record.parent.mkdir()
    elsewhere.write_text("mine")
    if theirs == "folder":
        record.mkdir()
    elif theirs in ("link", "nowhere"):
        record.symlink_to(elsewhere if theirs == "link" else tmp_path / "missing")
    else:
        record.write_text(theirs)
    owned = in_folder(record.parent, overwrite)
    with pytest.raises(UserError, match=rf"{RECORD}: .* keeps a file of its own; move it away"):
        owned.check([])  # before anything is begun
    with pytest.raises(UserError, match="move it away"):
        write_text(record.parent / "x", "x", owned)
    assert os.listdir(record.parent) == [RECORD] and elsewhere.read_text() == "mine"
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "out"]
    if theirs not in ("folder", "link", "nowhere"):
        assert record.read_text() == theirs


def test_the_record_is_read_once_and_again_where_another_process_has_added_to_it(
    tmp_path, monkeypatch
):
    write(in_folder(tmp_path), tmp_path / "x", "x")
    reads = []

    def read(*args, **kwargs):
        reads.append(args)
        return read_lines(*args, **kwargs)

    monkeypatch.setattr("surgvista_jax.record.read_lines", read)
    owned = in_folder(tmp_path)
    for number in range(5):
        write(owned, tmp_path / "y", str(number))
    assert len(reads) == 1 and owned.wrote(tmp_path / "x")
    write(in_folder(tmp_path), tmp_path / "z", "of another process")
    write(owned, tmp_path / "z", "ours")
    assert len(reads) == 3
    (tmp_path / RECORD).unlink()
    assert not owned.wrote(tmp_path / "x")


def test_lines_of_two_that_begin_a_record_are_both_kept(tmp_path, monkeypatch):
    records = [Record(tmp_path / RECORD) for _ in range(2)]
    lines = [{"file": name, "size": 1, "sha256": "a"} for name in "xyz"]
    monkeypatch.setattr(records[1], "check", lambda: records[0].add(lines[0]))  # just too late
    records[1].add(lines[1])
    monkeypatch.undo()
    records[1].add(lines[2])
    for record in (*records, Record(tmp_path / RECORD)):
        assert [record.lines("file", name) for name in "xyz"] == [[line] for line in lines]


def test_of_several_processes_one_adds_to_the_record(tmp_path):
    (tmp_path / "x").write_text("of an earlier version")
    in_folder(tmp_path, earlier=lambda path: True, notes=False).check([tmp_path / "x"])
    assert not (tmp_path / RECORD).exists()


_LINE = b'{"file": "x", "size": 1, "sha256": "a"}'
_TORN = [_LINE, *(_LINE + torn for torn in (b'\n{"fi', b"\n\xff\n", b"\n[]\n", b"\n\0\0"))]


@pytest.mark.parametrize("text", [b"", b'{"fi', *_TORN])
def test_a_last_line_is_ended_or_goes(text, tmp_path):
    record = Record(tmp_path / RECORD)
    record.path.write_bytes(text)
    for name in ("y", "z"):
        record.add({"file": name, "size": 2, "sha256": "b"})
    names = [json.loads(line)["file"] for line in record.path.read_text().splitlines()]
    assert names == ["x", "y", "z"][_LINE not in text :]
    for name in names:
        assert record.lines("file", name) == Record(record.path).lines("file", name)


@pytest.mark.parametrize("change", [{"size": None}, {"sha256": ["x"]}])
def test_a_line_that_lacks_something_is_told_by_its_number(change, tmp_path):
    owned, path = in_folder(tmp_path), tmp_path / "x"
    write(owned, path, "one")
    line = json.loads((tmp_path / RECORD).read_text())
    (tmp_path / RECORD).write_text(f"{json.dumps(line | change)}\n{json.dumps(line)}\n")
    with pytest.raises(UserError, match=r"line 1: 'file' should come with size and sha256; del"):
        owned.check([path])
