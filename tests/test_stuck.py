"""A program ends although something in it does not."""

import gc
import multiprocessing
import os
import signal
import sys
import time
import weakref

import pytest

from surgvista_jax import __main__ as program
from surgvista_jax import stuck


class Ended(BaseException):
    pass


def test_the_program_ends_at_once_only_if_something_is_stuck_still(monkeypatch):
    def end(code):
        raise Ended(code)

    monkeypatch.setattr("os._exit", end)
    monkeypatch.setattr(stuck, "_checks", [])
    stuck.leave(1)
    still = [True]
    stuck.note(lambda: still[0])
    with pytest.raises(Ended, match="3"):
        stuck.leave(3)
    still[0] = False
    stuck.leave(3)


def test_a_user_who_will_not_wait_need_not(monkeypatch):
    def end(code):
        raise Ended(code)

    monkeypatch.setattr("os._exit", end)
    monkeypatch.setattr(stuck, "_checks", [])
    stuck.hurry()
    with pytest.raises(Ended, match="130"):
        stuck.leave(130)


def test_children_that_hang_do_not_outlive_a_program_that_is_stuck(monkeypatch):
    def end(code):
        raise Ended(code)

    child = multiprocessing.get_context("spawn").Process(
        target=time.sleep, args=(600,), daemon=True
    )
    child.start()
    os.kill(child.pid, signal.SIGSTOP)
    monkeypatch.setattr("os._exit", end)
    monkeypatch.setattr(stuck, "_checks", [lambda: True])
    with pytest.raises(Ended):
        stuck.leave(130)
    child.join(30)
    assert child.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("answer", [lambda words: 0, lambda words: 1 / 0])
def test_a_ctrl_c_in_the_end_of_the_program_is_no_error_of_a_library(answer, monkeypatch):
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(program, "_run", answer)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    try:
        program.main()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_DFL
    finally:
        signal.signal(signal.SIGINT, before)
    monkeypatch.setattr(program, "_run", lambda words: 0)
    program.main([])  # by a program that goes on
    assert signal.getsignal(signal.SIGINT) is before


class Held:
    pass


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_a_ctrl_c_that_a_callback_of_the_garbage_collector_met_is_not_lost(error, monkeypatch):
    def meet(reference):
        raise error("x")

    said = []
    monkeypatch.setattr(sys, "__unraisablehook__", said.append)
    monkeypatch.setattr(sys, "unraisablehook", program._interrupt_again)
    held = Held()
    kept = weakref.ref(held, meet)
    interrupted = False
    try:
        del held
        gc.collect()
        time.sleep(5 if error is KeyboardInterrupt else 0.05)
    except KeyboardInterrupt:
        interrupted = True
    assert kept() is None and interrupted == (error is KeyboardInterrupt)
    assert [told.exc_type for told in said] == ([] if interrupted else [ValueError])
