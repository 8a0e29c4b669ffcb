"""SIGTERM, Ctrl-C: a request to stop, seen at the next step, that leaves no trace afterwards."""

import os
import signal
import threading

import pytest

from surgvista_jax.training.preemption import Preemption


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
