"""Open files: too few allowed is a line with what is needed, never frames that count as black."""

import os
import resource

import cv2
import numpy as np
import pytest

from surgvista_jax.data.open_files import check_room, make_room
from surgvista_jax.data.storage.open import FrameFolder
from surgvista_jax.errors import UserError, ending


@pytest.fixture
def limits(monkeypatch):
    """Stands for the system's limits: (what is allowed now, what may be asked for)."""
    now = [1000, 10_000]  # more than the process of the tests has open
    monkeypatch.setattr("resource.getrlimit", lambda which: tuple(now))
    monkeypatch.setattr("resource.setrlimit", lambda which, new: now.__setitem__(slice(2), new))
    return now


def test_the_limit_is_raised_as_far_as_is_needed_and_allowed(limits):
    make_room(1, "workers")
    assert limits == [1000, 10_000]
    make_room(3000, "workers")
    assert 3000 < limits[0] < 10_000 and limits[1] == 10_000
    said = "5 workers need about 20000 open files .* 10000 are allowed"
    with pytest.raises(UserError, match=said):
        make_room(20_000, "5 workers")


@pytest.fixture
def exhausted():
    """This process may open no other file."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    highest = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 8, hard))
    opened = []
    try:
        while True:
            opened.append(os.open(os.devnull, os.O_RDONLY))
    except OSError:
        pass
    yield
    for file in opened:
        os.close(file)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_frames_that_are_there_but_cannot_be_opened_are_an_error(tmp_path, request):
    picture = cv2.imencode(".jpg", np.zeros((8, 8, 3), np.uint8))[1].tobytes()
    (tmp_path / "000000.jpg").write_bytes(picture)
    frames = FrameFolder(tmp_path, 2)
    assert frames.read(np.array([0, 1]))[1].tolist() == [False, True]
    request.getfixturevalue("exhausted")
    with pytest.raises(UserError, match="too many open files: a process may have .*ulimit -n"):
        frames.read(np.array([0]))
    with pytest.raises(UserError, match="too many open files"):
        check_room()


def test_anywhere_else_it_is_one_line(exhausted):
    with pytest.raises(OSError) as error:
        os.open(os.devnull, os.O_RDONLY)
    code, words = ending(error.value)
    assert code == 1 and words.startswith("Too many open files: a process may have")
