"""SIGTERM, Ctrl-C: a request to stop, seen at the next step, that leaves no trace afterwards."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from surgvista_jax.training.preemption import Preemption, asked


def test_sigterm_is_seen_at_the_next_step_and_the_old_handler_comes_back():
    seen = []
    previous = signal.signal(signal.SIGTERM, lambda *_: seen.append("old"))
    try:
        with Preemption() as preemption:
            assert not preemption.reached(3)
            os.kill(os.getpid(), signal.SIGTERM)
            assert preemption.reached(4) and preemption.reached(5)
        assert not seen
        os.kill(os.getpid(), signal.SIGTERM)
        assert seen == ["old"]
    finally:
        signal.signal(signal.SIGTERM, previous)


def test_the_first_ctrl_c_asks_and_the_second_interrupts():
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), Preemption() as preemption:
        os.kill(os.getpid(), signal.SIGINT)
        assert preemption.reached(4)
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_outside_the_main_thread_nothing_is_handled():
    answers = []

    def ask():
        with Preemption() as preemption:
            answers.append((preemption.reached(1), signal.getsignal(signal.SIGTERM)))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert answers == [(False, before)]


def test_sighup_is_seen_but_where_nohup_has_it_ignored():
    with Preemption() as preemption:
        os.kill(os.getpid(), signal.SIGHUP)
        assert preemption.reached(4)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with Preemption() as preemption:
            os.kill(os.getpid(), signal.SIGHUP)
            assert not preemption.reached(4)
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_one_inside_another_hears_of_it_and_leaves_the_handlers():
    with Preemption() as outer:
        with Preemption() as inner:
            os.kill(os.getpid(), signal.SIGTERM)
            assert inner.reached(1) and asked()
        assert outer.reached(2)
        os.kill(os.getpid(), signal.SIGTERM)
    assert not asked()


HELD = """
import ctypes, signal
from surgvista_jax.training import preemption
from surgvista_jax.training.preemption import Preemption, asked

preemption._GRACE = 0.3
with Preemption():
    # The main thread is held, as in a long step: what interrupts others does not reach it.
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    print("ready", flush=True)
    ctypes.CDLL(None).usleep(100_000_000)
"""


def test_two_interrupts_end_a_process_whose_main_thread_is_held():
    """Python's own handlers would run when the main thread is back, and for both as one."""
    words = [sys.executable, "-c", HELD]
    program = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert program.stdout.readline() == "ready\n"
        program.send_signal(signal.SIGINT)
        assert "stops at once" in program.stderr.readline()
        program.send_signal(signal.SIGINT)
        _, said = program.communicate(timeout=20)
    finally:
        program.kill()
    assert (program.returncode, said) == (130, "surgvista: interrupted\n")
