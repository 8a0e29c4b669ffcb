"""Does a program's log take what is added, and has every end of a program words?"""

import os
import signal

import pytest

from surgvista_jax.errors import UserError, end_in_words
from surgvista_jax.training.child import added_to


def test_every_end_has_words():
    assert end_in_words(-signal.SIGKILL).startswith("was killed (SIGKILL")
    assert end_in_words(-50) == "crashed (signal 50)"


def test_what_it_prints_is_added_to_a_log_of_ours_alone(tmp_path):
    log = tmp_path / "x" / "run.log"
    for _ in range(2):
        with added_to(log, "$ surgvista a b\n") as file:
            os.write(file, b"said\n")
    assert log.read_text() == "$ surgvista a b\nsaid\n" * 2
    log.write_text("theirs")
    with (
        pytest.raises(UserError, match=r"run\.log: was not written by this program"),
        added_to(log, "$ surgvista a b\n"),
    ):
        pass
    assert log.read_text() == "theirs"
