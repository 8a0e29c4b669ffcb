"""The promises of `tests.torture`: what counts as broken, and that a try can be repeated."""

import errno
import importlib
import os
import pickle

import numpy as np
import pytest

from surgvista_jax.data.datasets import registry
from surgvista_jax.locking import try_lock
from tests.torture import kills, spoiling
from tests.torture.official import FILES
from tests.torture.process import Broken, Command, Ended
from tests.torture.promises import PROMISES, check_told

TRACEBACK = "Traceback (most recent call last):\n  File\nKeyError: 'x'\n"


@pytest.mark.parametrize(
    ("code", "out", "err", "held"),
    [
        (0, "done", "", True),
        (1, "", "note\nsurgvista: a.csv, line 3: no number\n", True),
        (1, "2 problems", "", True),
        (2, "", "usage: surgvista …\nerror: --fps: invalid\n", True),
        (143, "", "told to stop: stopped after step 7, which is saved\n", True),
        (1, "", TRACEBACK, False),
        (0, "done", TRACEBACK, False),
        (1, "", "", False),
        (1, "", "something else\n", False),
        (-11, "", "surgvista: x\n", False),
    ],
)
def test_an_end_is_a_success_or_has_words_for_the_user(code, out, err, held):
    ended = Ended(code, out, err, 1.0)
    if held:
        assert check_told(ended) == ("refused" if code else "success")
    else:
        with pytest.raises(Broken):
            check_told(ended)


def test_every_promise_has_a_name_of_its_own_and_its_tries_are_drawn_from_the_seed():
    for room in ("malformed", "spelling", "foreign", "damage", "faults", "kills"):
        importlib.import_module(f"tests.torture.{room}")
    names = [promise.name for promise in PROMISES]
    assert len(set(names)) == len(names) > 40
    first = PROMISES[0].rng(1, 5).integers(2**60)
    assert first == PROMISES[0].rng(1, 5).integers(2**60)
    others = (PROMISES[0].rng(1, 6), PROMISES[0].rng(2, 5), PROMISES[1].rng(1, 5))
    assert first not in [rng.integers(2**60) for rng in others]


def test_official_files_of_every_labelled_dataset_are_tried():
    labelled = {name for name, official in registry().items() if official.task != "none"}
    assert set(FILES) == labelled


def test_what_is_left_in_memory_is_of_those_processes_alone(tmp_path):
    ours, other, alive = (f"surgvista-{pid}-{'a7' * 16}" for pid in (77, 1772, 78))
    for name in (ours, other, alive):
        (tmp_path / f".{name}.lock").touch()
        (tmp_path / f"{name}-3-0").touch()
    (tmp_path / "surgvista-notes.txt").touch()
    with open(tmp_path / f".{alive}.lock") as file:
        assert try_lock(file.fileno())
        found = kills.left_in_memory(tmp_path, {77, 78})
    assert found == [f".{ours}.lock", f"{ours}-3-0"]


@pytest.mark.parametrize(
    ("spoil", "good"),
    [
        (spoiling.table, b"second,label\n0,A\n1,B\n"),
        (spoiling.encoding, b"second,label\n0,A\n1,B\n"),
        (spoiling.json_text, b'{"a": [1, {"b": null}], "c": "x"}'),
        (spoiling.json_lines, b'{"a": 1}\n{"a": 2}\n'),
        (spoiling.binary, bytes(range(256)) * 4),
        (spoiling.pickled, pickle.dumps({"1": [{"frame_id": 0, "phase_gt": 2}]})),
    ],
)
def test_spoiling_changes_a_file_and_can_be_repeated(spoil, good):
    kinds = set()
    for seed in range(60):
        kind, bad = spoil(np.random.default_rng(seed), good)
        assert (kind, bad) == spoil(np.random.default_rng(seed), good)
        kinds.add((kind, bad != good))
    assert sum(changed for _, changed in kinds) >= 2


def test_a_process_that_ends_while_all_are_looked_at_is_passed_over(monkeypatch):
    real = os.stat

    def stat(path, *args, **kwargs):
        if str(path) == f"/proc/{os.getpid()}/stat":
            raise ProcessLookupError(errno.ESRCH, "No such process")
        return real(path, *args, **kwargs)

    command = Command.__new__(Command)
    command.pid, command.pids = os.getsid(0), set()
    monkeypatch.setattr(os, "stat", stat)
    assert os.getpid() in command.members()
