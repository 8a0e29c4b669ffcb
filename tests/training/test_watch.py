"""Does a process learn that another has ended, whatever ended it, and of nothing else?"""

import contextlib
import queue
import socket
import threading
import time
import types

import pytest

from surgvista_jax.training import links, watch
from surgvista_jax.training.links import Link, Member
from surgvista_jax.training.watch import Watch

MEMBERS = [Member(number, f"node{number}", 100 + number) for number in range(3)]


@pytest.fixture
def group(monkeypatch):
    """Makes the watches of processes, connected; what ends each comes by its queue."""
    monkeypatch.setattr(watch, "_GRACE", 0.1)
    monkeypatch.setattr(watch, "_LOOK", 0.05)
    open_links = []

    def make(count, silence=30.0):
        ends = [queue.SimpleQueue() for _ in range(count)]
        first, others = [], []
        for number in range(1, count):
            near, far = (Link(end) for end in socket.socketpair())
            near.member, far.member = MEMBERS[number], MEMBERS[0]
            first.append(near)
            others.append(far)
        open_links.extend(first + others)
        watches = [Watch(first, True, ends[0].put, beat=0.1, silence=silence)]
        watches += [
            Watch([link], False, end.put, beat=0.1, silence=silence)
            for link, end in zip(others, ends[1:], strict=True)
        ]
        return watches, ends, others

    yield make
    for link in open_links:
        cut(link)  # its thread ends by that
    time.sleep(0.1)
    for link in open_links:
        link.close()


def cut(link):
    """As the system does when a process dies."""
    with contextlib.suppress(OSError):  # closed already
        link._connection.shutdown(socket.SHUT_RDWR)


def test_all_learn_at_once_who_has_died(group):
    _, ends, others = group(3)
    cut(others[0])
    for end in (ends[0], ends[2]):
        assert end.get(timeout=20).startswith("process 1 (node1, pid 101) ended without a word")


def test_the_others_learn_that_the_first_has_died(group):
    _, ends, others = group(2)
    cut(others[0])  # both ends see it closed
    assert ends[1].get(timeout=20).startswith("process 0 (node0, pid 100) ended without a word")


def test_a_machine_that_is_silent_is_lost(group):
    near, far = (Link(end) for end in socket.socketpair())
    near.member, end = MEMBERS[1], queue.SimpleQueue()
    Watch([near], True, end.put, beat=0.5, silence=0.6)
    assert end.get(timeout=20) == "process 1 (node1, pid 101) has not been heard of for 0.6 s"
    near.close()
    far.close()


def test_signs_of_life_keep_a_run_going(group):
    _, ends, _ = group(3, silence=1)
    time.sleep(1.5)
    assert all(end.empty() for end in ends)


def test_a_process_that_was_stopped_itself_does_not_blame_the_others(group, monkeypatch):
    """As where a scheduler suspends all processes of a job for hours."""
    ahead = [0.0]
    clock = types.SimpleNamespace(monotonic=lambda: time.monotonic() + ahead[0])
    for module in (watch, links):
        monkeypatch.setattr(module, "time", clock)
    _, ends, _ = group(2)
    time.sleep(0.2)
    ahead[0] = 3600
    time.sleep(0.4)
    assert all(end.empty() for end in ends)


def test_why_a_process_failed_is_told_to_all_others(group):
    watches, ends, _ = group(3)
    watches[2].fail("no space left")
    for end in ends[:2]:
        assert end.get(timeout=20) == "process 2 (node2, pid 102) ended: no space left"
    assert ends[2].empty()


def test_a_fault_that_all_find_is_told_by_each_itself(group):
    watches, ends, _ = group(3)
    for one in watches:
        one.fail("no such dataset")
    time.sleep(0.4)
    assert all(end.empty() for end in ends)


def test_those_that_are_done_wait_for_one_another_and_leave_in_peace(group):
    watches, ends, others = group(3)
    waiting = [threading.Thread(target=one.finish) for one in watches[:2]]
    for thread in waiting:
        thread.start()
    time.sleep(0.2)
    assert all(thread.is_alive() for thread in waiting)
    watches[2].finish()
    for thread in waiting:
        thread.join(5)
        assert not thread.is_alive()
    deadline = time.monotonic() + 5
    while any(link.fileno() >= 0 for link in others) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert all(link.fileno() < 0 for link in others)  # closed, as those of the first are
    time.sleep(0.2)
    assert all(end.empty() for end in ends)


def test_facts_reach_the_others_in_order(group):
    watches, _, _ = group(3)
    watches[0].tell({"data": "1"})
    watches[0].tell({"data": "2"})
    assert [watches[1].hear(), watches[2].hear()] == [{"data": "1"}] * 2
    assert [watches[1].hear(), watches[2].hear()] == [{"data": "2"}] * 2
