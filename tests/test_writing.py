"""A file is written whole or not at all, whoever else writes it, and every failure is one line."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.writing import (
    CannotWrite,
    append_line,
    clear_asides,
    remove_written,
    replacing,
    replacing_all,
    write_bytes,
    write_json,
    write_text,
    writing_to,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


FORMS = {
    "text": (lambda path: write_text(path, "né\n"), "né\n".encode()),
    "parts": (lambda path: write_text(path, (part for part in "ab")), b"ab"),
    "bytes": (lambda path: write_bytes(path, b"\0\r\n"), b"\0\r\n"),
    "json": (lambda path: write_json(path, {"a": "é"}), '{\n "a": "é"\n}\n'.encode()),
}


@pytest.mark.parametrize(("write", "wanted"), FORMS.values(), ids=FORMS)
def test_every_form_replaces_a_file_and_makes_folders(write, wanted, tmp_path):
    for path in (tmp_path / "x", tmp_path / "new" / "folder" / "x"):
        write(path)
        assert path.read_bytes() == wanted
    (tmp_path / "x").write_bytes(b"much more than before")
    write(tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == wanted
    assert names(tmp_path) == ["new", "x"] and names(tmp_path / "new" / "folder") == ["x"]


def test_a_reader_sees_the_old_file_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "x.npz"
    path.write_bytes(b"old")
    with replacing(path) as aside:
        assert aside.name == path.name  # by its ending a library knows what to write
        np.savez(aside, a=np.arange(3))
        assert path.read_bytes() == b"old"
    assert np.load(path)["a"].tolist() == [0, 1, 2]


@pytest.mark.parametrize("fault", [KeyboardInterrupt, ValueError, MemoryError])
@pytest.mark.parametrize("there", [True, False])
def test_what_ends_in_mid_write_leaves_all_as_it_was(fault, there, tmp_path):
    path = tmp_path / "x"
    if there:
        path.write_text("old")

    def parts():
        yield "new" * 10_000
        raise fault

    with pytest.raises(fault):
        write_text(path, parts())
    assert names(tmp_path) == ["x"] * there
    assert not there or path.read_text() == "old"


def test_a_kill_in_mid_write_leaves_the_old_file(tmp_path):
    path = tmp_path / "x"
    path.write_text("old")
    program = (
        "import sys, time\nfrom surgvista_jax.writing import replacing\n"
        "with replacing(sys.argv[1]) as aside:\n"
        "    aside.write_text('half'); print(flush=True); time.sleep(60)"
    )
    words = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert path.read_text() == "old"
    assert len(names(tmp_path)) == 2
    theirs = tmp_path / ".partial-download"
    theirs.mkdir()
    (theirs / "x").touch()
    (tmp_path / ".partial-abcdefgh").mkdir()  # of one that was killed at its very beginning
    clear_asides(tmp_path)
    assert names(tmp_path) == [".partial-download", "x"]
    assert names(theirs) == ["x"]


@pytest.mark.parametrize("size", [1, 100_000])  # smaller and larger than what Python holds back
def test_a_full_disk_is_one_line_and_leaves_the_old_file(size, tmp_path):
    path = tmp_path / "x"
    write_text(path, "o")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
        with pytest.raises(UserError) as caught:
            write_text(path, "n" * size)
        with pytest.raises(CannotWrite, match="File too large"):
            append_line(path, {"a": 1})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert str(caught.value) == f"{path}: cannot be written (File too large)"
    assert path.read_text() == "o" and names(tmp_path) == ["x"]


def test_a_disk_that_fails_only_when_asked_to_keep_the_file_is_told(tmp_path, monkeypatch):
    path = tmp_path / "x"
    path.write_text("old")

    def full(number):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"x: cannot be written \(No space left on device\)$"):
        write_text(path, "new")
    assert path.read_text() == "old" and names(tmp_path) == ["x"]


@pytest.mark.parametrize("write", [lambda path: write_text(path, ""), lambda p: append_line(p, {})])
def test_a_place_where_nothing_can_be_written_is_named(write, tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    for path in (tmp_path / "file" / "x", tmp_path / "folder"):
        with pytest.raises(UserError, match=f"^{path}: cannot be written .*(a file, not|Is a) "):
            write(path)
    assert names(tmp_path) == ["file", "folder"] and not names(tmp_path / "folder")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_of_others_is_named(tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(UserError, match="x: cannot be written .Permission denied"):
        write_text(tmp_path / "locked" / "x", "")


def test_two_who_write_the_same_file_do_not_meet(tmp_path):
    path, start = tmp_path / "x", threading.Barrier(8)

    def write(letter):
        start.wait()
        for _ in range(20):
            write_text(path, (letter for _ in range(1000)))

    threads = [threading.Thread(target=write, args=(letter,)) for letter in "abcdefgh"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    text = path.read_text()
    assert len(text) == 1000 and len(set(text)) == 1 and names(tmp_path) == ["x"]


def test_a_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "large disk").mkdir()
    target, link = tmp_path / "large disk" / "y", tmp_path / "x"
    link.symlink_to(target)
    for text in ("new", "newer"):  # where it points to nothing, and to a file
        write_text(link, text)
        assert link.is_symlink() and target.read_text() == text
    assert names(tmp_path) == ["large disk", "x"] and names(target.parent) == ["y"]


def test_a_device_is_written_to_and_stays_one(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    write_text(pipe, "said")
    assert os.read(read, 9) == b"said" and pipe.is_fifo() and names(tmp_path) == ["pipe"]
    os.close(read)


def test_a_file_may_be_read_by_whom_the_user_lets_read_new_files(tmp_path):
    (tmp_path / "usual").touch()
    with replacing(tmp_path / "x") as aside:
        aside.unlink()  # as safetensors does
        os.close(os.open(aside, os.O_CREAT | os.O_WRONLY, 0o600))
    assert (tmp_path / "x").stat().st_mode == (tmp_path / "usual").stat().st_mode


@pytest.mark.parametrize("links", [True, False])
@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("fails", [1, 2, 3, 4])
def test_of_several_files_all_are_replaced_or_none(fails, there, links, tmp_path, monkeypatch):
    paths = [tmp_path / name for name in "abc"]
    for path in paths if there else ():
        path.write_text(f"old {path.name}")
    rename, calls = os.replace, []

    def failing(source, target):
        calls.append(source)
        if len(calls) == fails:
            raise OSError(errno.ENOSPC, "No space left on device")
        rename(source, target)

    def refused(source, target):
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "replace", failing)
    if not links:
        monkeypatch.setattr(os, "link", refused)

    def write():
        with replacing_all(paths) as asides:
            for aside in asides:
                aside.write_text(f"new {aside.name}")

    if fails > 3:  # so many renames are all that is to be done
        write()
        assert [path.read_text() for path in paths] == ["new a", "new b", "new c"]
    else:
        wanted = f"{paths[fails - 1]}: cannot be written .No space left"
        with pytest.raises(UserError, match=wanted):
            write()
        assert [path.read_text() for path in paths if path.exists()] == (
            ["old a", "old b", "old c"] if there else []
        )
    assert names(tmp_path) == sorted(path.name for path in paths if path.exists())


@pytest.mark.parametrize("last", [1, 2, 3])
def test_a_kill_among_the_renames_leaves_a_whole_file_at_every_place(last, tmp_path):
    paths = [tmp_path / name for name in "abc"]
    for path in paths:
        path.write_text("old")
    program = (
        "import os, signal, sys\nfrom surgvista_jax.writing import replacing_all\n"
        "rename, left = os.replace, [None] * int(sys.argv[1])\n"
        "def fatal(*places):\n"
        "    left.pop()\n"
        "    left or os.kill(os.getpid(), signal.SIGKILL)\n"
        "    rename(*places)\n"
        "os.replace = fatal\n"
        "with replacing_all(sys.argv[2:]) as asides:\n"
        "    [aside.write_text('new') for aside in asides]\n"
    )
    words = [sys.executable, "-c", program, str(last), *map(str, paths)]
    assert subprocess.run(words, check=False).returncode == -signal.SIGKILL
    assert [path.read_text() for path in paths] == ["new"] * (last - 1) + ["old"] * (4 - last)


@pytest.mark.parametrize("first", [True, False])
def test_of_several_files_the_one_that_fails_is_named(first, tmp_path):
    (tmp_path / "file").touch()
    paths = [tmp_path / "a", tmp_path / "file" / "b"][:: 1 if first else -1]
    with pytest.raises(CannotWrite, match="^" + str(tmp_path / "file" / "b") + ": cannot"):
        with replacing_all(paths):
            raise AssertionError("nothing is to be computed for it")
    with pytest.raises(CannotWrite, match=f"^{tmp_path / 'b'}: cannot be written .No such"):
        with replacing_all([tmp_path / "a", tmp_path / "b"]) as (_, aside):
            aside.unlink()  # to be missed when it is forced to the disk
    with pytest.raises(CannotWrite, match=f"^{tmp_path / 'b'}: cannot be written .No such"):
        with replacing_all([tmp_path / "a", tmp_path / "b"]) as (_, aside):
            aside.with_name("part").read_bytes()  # as of a library that writes beside it
    with pytest.raises(CannotWrite, match=f"^{tmp_path / 'a'}, {tmp_path / 'b'}: cannot .*full"):
        with replacing_all([tmp_path / "a", tmp_path / "b"]):
            raise OSError(errno.ENOSPC, "full")  # which of them it was is not told
    assert names(tmp_path) == ["file"]


def test_a_source_that_cannot_be_read_is_not_taken_for_the_file(tmp_path):
    source = tmp_path / "source"
    with pytest.raises(UserError) as caught, replacing(tmp_path / "x"):
        source.read_bytes()
    assert str(caught.value) == f"{source}: No such file or directory"
    assert not names(tmp_path)


def test_of_several_files_one_that_is_a_folder_stops_all(tmp_path):
    (tmp_path / "b").mkdir()
    with pytest.raises(UserError, match="Is a directory"):
        with replacing_all([tmp_path / "a", tmp_path / "b"]):
            raise AssertionError("nothing is to be computed for it")
    assert names(tmp_path) == ["b"]


def test_lines_are_added(tmp_path):
    path = tmp_path / "x.jsonl"
    for number in range(3):
        append_line(path, {"step": number, "clip": "é"})
    assert [json.loads(line)["step"] for line in path.read_text("utf-8").splitlines()] == [0, 1, 2]


def test_json_has_no_numbers_that_other_readers_refuse(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "x", {"a": float("nan")})
    assert not names(tmp_path)


def test_of_nested_places_the_inner_one_is_named(tmp_path):
    with pytest.raises(CannotWrite, match="^inner: cannot be written .full.$"):
        with writing_to("outer"), writing_to("inner"):
            raise OSError("full")


@pytest.mark.parametrize("below", ["x", "a/x", "a/b/x"])
def test_a_file_where_a_folder_is_needed_is_named(below, tmp_path):
    (tmp_path / "file").write_text("before")
    path = tmp_path / "file" / below
    with pytest.raises(CannotWrite, match=r"x: cannot be written \(.*/file is a file, not a fold"):
        write_text(path, "text")
    with pytest.raises(CannotWrite, match=r"\(.*/file is a file, not a folder\)"):
        with writing_to(path):
            path.mkdir(parents=True, exist_ok=True)
    assert (tmp_path / "file").read_text() == "before"


def test_a_folder_that_a_late_writer_makes_anew_is_gone_too(tmp_path):
    folder = tmp_path / "failed"

    def write_late():
        for _ in range(10):
            time.sleep(0.03)
            (folder / "params").mkdir(parents=True, exist_ok=True)

    folder.mkdir()
    late = threading.Thread(target=write_late)
    late.start()
    remove_written(folder)
    late.join()
    assert not folder.exists()
