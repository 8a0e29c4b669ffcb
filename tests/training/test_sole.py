"""Of several processes the first has the folder, and none goes on where it has not."""

import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.locking import NAME
from surgvista_jax.training import sole
from surgvista_jax.training.sole import alone_in_workdir, sole_use
from tests.test_locking import holding


def test_a_program_has_its_run_folder_for_itself(tmp_path):
    @alone_in_workdir
    def program(config, workdir, *, answer):
        assert (workdir / NAME).exists()
        return answer

    assert program(None, tmp_path / "run", answer=42) == 42
    with holding(tmp_path), pytest.raises(UserError, match="pid .*; wait .*another --workdir"):
        program(None, tmp_path, answer=1)


@pytest.mark.parametrize("first_has_it", [True, False])
def test_the_others_hold_nothing_and_end_with_the_first(tmp_path, monkeypatch, first_has_it):
    asked = []

    def answers(flags):
        asked.append(bool(flags.all()))
        return np.array(first_has_it)

    monkeypatch.setattr("jax.process_index", lambda: 1)
    monkeypatch.setattr(sole, "on_all_processes", answers)
    if first_has_it:
        with sole_use(tmp_path / "run", ""):
            assert not (tmp_path / "run").exists()
    else:
        with pytest.raises(UserError, match="process 0 says why"), sole_use(tmp_path, ""):
            pass
    assert asked == [True]


def test_the_first_tells_the_others_before_it_ends(tmp_path, monkeypatch):
    told = []
    monkeypatch.setattr(sole, "on_all_processes", lambda flags: told.append(bool(flags)) or flags)
    with holding(tmp_path), pytest.raises(UserError, match="at work here"):
        with sole_use(tmp_path, ""):
            pass
    assert told == [False]
