"""What a command wrote it may replace; what anybody else wrote, or changed since, it refuses."""

import argparse
import json
import os

import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.ownership import RECORD, Foreign, add_overwrite, in_folder
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


@pytest.mark.parametrize("change", [{"size": None}, {"sha256": ["x"]}])
def test_a_line_that_lacks_something_is_told_by_its_number(change, tmp_path):
    owned, path = in_folder(tmp_path), tmp_path / "x"
    write(owned, path, "one")
    line = json.loads((tmp_path / RECORD).read_text())
    (tmp_path / RECORD).write_text(f"{json.dumps(line | change)}\n{json.dumps(line)}\n")
    with pytest.raises(UserError, match=r"line 1: 'file' should come with size and sha256; del"):
        owned.check([path])
