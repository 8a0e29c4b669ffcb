"""What Orbax and TensorStore print beside the error that they raise is dropped, and no more."""

import gc
import sys
import warnings

from surgvista_jax.training import orbax_manager, quiet_orbax


async def _write() -> None:
    """Stands for a write that a full disk kept from being started."""


def test_a_write_that_never_started_is_not_spoken_of(monkeypatch):
    said = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quiet_orbax.silence()
        _write()  # never awaited: Python warns when it is collected
        gc.collect()
    assert not said


def test_other_errors_that_nobody_can_catch_are_told(monkeypatch):
    class Falls:
        def __del__(self):
            raise ValueError("ours")

    said = []
    monkeypatch.setattr(sys, "unraisablehook", lambda told: said.append(str(told.exc_value)))
    with warnings.catch_warnings():
        quiet_orbax.silence()
        Falls()
        gc.collect()
    assert said == ["ours"]


def test_the_writer_of_arrays_is_replaced_without_a_word(caplog):
    quiet_orbax.silence()
    orbax_manager.keep_small_arrays_whole.cache_clear()
    orbax_manager.keep_small_arrays_whole()
    assert not caplog.records
