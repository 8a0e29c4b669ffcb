"""A folder for one process at a time: who comes second is told at once, whoever dies frees it."""

import contextlib
import errno
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from surgvista_jax import locking
from surgvista_jax.errors import UserError
from surgvista_jax.locking import NAME, alone_in

HOLD = """
import sys, time
from pathlib import Path
from surgvista_jax.locking import alone_in

with alone_in(Path(sys.argv[1])):
    print("held", flush=True)
    {then}
"""


@contextlib.contextmanager
def holding(folder, then="sys.stdin.read()"):
    """Another process has the folder."""
    words = [sys.executable, "-c", HOLD.format(then=then), str(folder)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(words, **pipes) as process:
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


def test_the_second_is_told_at_once_who_is_the_first(tmp_path):
    with holding(tmp_path) as process:
        before = time.monotonic()
        with pytest.raises(UserError) as error, alone_in(tmp_path, "take another --workdir"):
            pytest.fail("two are at work")
        assert time.monotonic() - before < 1
        assert re.fullmatch(
            f"{re.escape(str(tmp_path))}: another process is at work here"
            rf" \(host {socket.gethostname()}, pid {process.pid}, since [^)]*\);"
            " wait for its end, or take another --workdir",
            str(error.value),
        )


def test_the_end_of_another_can_be_waited_for(tmp_path):
    with holding(tmp_path, then="time.sleep(1)"), alone_in(tmp_path, patience=30):
        assert json.loads((tmp_path / NAME).read_text())["pid"] == os.getpid()
    with (
        holding(tmp_path),
        pytest.raises(UserError, match="another process is at work here"),
        alone_in(tmp_path, patience=0.3),
    ):
        pytest.fail("two are at work")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_whoever_dies_frees_it(tmp_path, number):
    with holding(tmp_path) as process:
        process.send_signal(number)
        process.wait()
        with alone_in(tmp_path):
            assert json.loads((tmp_path / NAME).read_text())["pid"] == os.getpid()
    assert not list(tmp_path.iterdir())


def test_a_link_to_the_folder_is_the_folder(tmp_path):
    folder, link = tmp_path / "folder", tmp_path / "link"
    link.symlink_to(folder.name)
    folder.mkdir()
    with holding(folder), pytest.raises(UserError, match="at work here"), alone_in(link):
        pass


@pytest.mark.parametrize("theirs", ["mine", '{"a": 1}', "link", "nowhere", "folder", "pipe"])
def test_what_is_no_lock_of_ours_stays_as_it_is(theirs, tmp_path):
    lock, elsewhere = tmp_path / "out" / NAME, tmp_path / "elsewhere"
    lock.parent.mkdir()
    elsewhere.write_text("mine")
    if theirs in ("link", "nowhere"):
        lock.symlink_to(elsewhere if theirs == "link" else tmp_path / "missing")
    elif theirs in ("folder", "pipe"):
        (lock.mkdir if theirs == "folder" else lambda: os.mkfifo(lock))()
    else:
        lock.write_text(theirs)
    with pytest.raises(UserError, match=f"{NAME}: .*move it away"), alone_in(lock.parent):
        pytest.fail("it was taken for ours")
    if theirs in ("mine", '{"a": 1}'):
        assert lock.read_text() == theirs
    assert os.listdir(lock.parent) == [NAME]
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "out"]
    assert elsewhere.read_text() == "mine"


@pytest.mark.parametrize("left", ["", '{"ho', '{"host": "gone", "pid": 1, "since": "x"}\n'])
def test_a_lock_that_a_kill_left_is_taken_over(left, tmp_path):
    (tmp_path / NAME).write_text(left)
    with alone_in(tmp_path):
        assert json.loads((tmp_path / NAME).read_text())["pid"] == os.getpid()
    assert not (tmp_path / NAME).exists()


FORK = """
    import os
    child = os.fork() or time.sleep(60)
    print(child, flush=True)
    time.sleep(60)
""".strip()


def test_a_forked_child_does_not_keep_it(tmp_path):
    """As those that a loader might start: they live on when their parent is killed."""
    with holding(tmp_path, FORK) as process:
        child = int(process.stdout.readline())
        process.kill()
        process.wait()
        try:
            os.kill(child, 0)
            deadline = time.monotonic() + 10
            while True:  # the child closes its copy in its first moments
                try:
                    with alone_in(tmp_path):
                        break
                except UserError:
                    assert time.monotonic() < deadline
        finally:
            os.kill(child, signal.SIGKILL)


def test_inside_itself_it_does_nothing_and_no_folder_is_left_that_it_made(tmp_path):
    folder = tmp_path / "a" / "b"
    with alone_in(folder):
        with alone_in(folder):
            assert (folder / NAME).exists()
        assert (folder / NAME).exists()
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError), alone_in(folder):
        (folder / "kept").touch()
        raise ValueError
    assert [path.name for path in folder.iterdir()] == ["kept"]


def test_a_lock_file_that_was_removed_meanwhile_counts_for_nothing(tmp_path, monkeypatch):
    """The first ends between the moments at which the second opens its file and locks it."""
    lock, opened = locking.try_lock, []

    def removed_at_first(file):
        opened.append(file)
        if len(opened) == 1:
            (tmp_path / NAME).unlink()
        return lock(file)

    monkeypatch.setattr(locking, "try_lock", removed_at_first)
    with alone_in(tmp_path):
        assert len(opened) == 2 and locking.is_at(opened[1], tmp_path / NAME)


def test_a_file_system_without_locks_is_told(tmp_path, monkeypatch, capsys):
    def none(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr("fcntl.flock", none)
    with alone_in(tmp_path):
        pass
    assert "has no locks (Operation not supported)" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written .*file is a file, not a folder"):
        with alone_in(tmp_path / "file" / "run"):
            pass


def test_a_folder_in_which_nothing_may_be_made_says_so(tmp_path, monkeypatch):
    """Not that there is no such file, as a share that is for reading alone was told."""

    def denied(path, flags):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(locking, "open_place", denied)
    with pytest.raises(UserError, match="Permission denied"), alone_in(tmp_path):
        pass
