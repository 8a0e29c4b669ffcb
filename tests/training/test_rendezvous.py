"""Are processes that do not come, or were started otherwise, named to all before anything runs?"""

import contextlib
import socket
from concurrent.futures import ThreadPoolExecutor

import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.training import rendezvous
from surgvista_jax.training.links import Link
from surgvista_jax.training.rendezvous import Start, meet


@pytest.fixture
def port(monkeypatch):
    for name in ("_BUSY", "_LINGER"):
        monkeypatch.setattr(rendezvous, name, 0.4)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def start(port, process, count=2, host="127.0.0.1", patience=20.0, **facts):
    return Start("--num-processes=N", f"{host}:{port}", count, process, patience, facts)


def outcomes(*starts):
    """What `meet` returns or raises in each process, all at the same time; links are closed."""
    links = []

    def outcome(one):
        try:
            links.extend(found := meet(one))
            return found
        except UserError as error:
            return str(error)

    with ThreadPoolExecutor(len(starts)) as pool:
        found = list(pool.map(outcome, starts))
    for link in links:
        link.close()
    return found


def test_all_come_and_know_one_another(port):
    first, *others = outcomes(*(start(port, process, 3) for process in range(3)))
    assert sorted(link.member.process for link in first) == [1, 2]
    assert [link.member.process for (link,) in others] == [0, 0]
    with socket.create_server(("127.0.0.1", port)):  # which JAX's service takes now
        pass


HELLO = b'{"hello": {"member": %s, "count": %s, "facts": %s, "token": "a"}}\n'
JUNK = [
    b"GET / HTTP/1.1\r\n\r\n",
    b'{"hello": 3}\n',
    b'{"hello": [1]}\n',
    b"\x00\xff\n",
    b"[" * 100_000 + b"\n",
    b"9" * 10_000 + b"\n",
    HELLO % (b"[1, 2]", b"2", b"{}"),
    HELLO % (b'["1", "host", 3]', b"2", b"{}"),
    HELLO % (b'[1, "host", 3]', b'"2"', b"{}"),
    HELLO % (b'[1, "host", 3]', b"2", b"[1]"),
    HELLO % (b'[1, "host", 3]', b"2", b'{"lr": 3}'),
]


@pytest.mark.parametrize("junk", JUNK, ids=range(len(JUNK)))
def test_whoever_else_calls_does_no_harm(port, junk):
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(outcomes, start(port, 0))
        while True:  # until process 0 listens
            with contextlib.suppress(ConnectionError):
                stranger = socket.create_connection(("127.0.0.1", port))
                break
        with stranger:
            stranger.sendall(junk)
            (second,) = outcomes(start(port, 1))
        assert len(first.result()[0]) == len(second) == 1


def test_another_learning_rate_is_named_to_both(port):
    lines = outcomes(start(port, 0, lr="0.1", jax="1"), start(port, 1, lr="0.2", jax="1"))
    assert lines[0] == lines[1]
    assert "process 1 (" in lines[0] and "in lr (0.2, not 0.1); start all alike" in lines[0]


def test_a_process_that_comes_right_still_learns_that_another_did_not(port, monkeypatch):
    monkeypatch.setattr(rendezvous, "_LINGER", 10)  # it comes sooner
    lines = outcomes(*(start(port, process, 3, lr=str(process == 1)) for process in range(3)))
    assert len(set(lines)) == 1 and "process 1 (" in lines[0] and "lr (True" in lines[0]


def test_another_number_of_processes_is_named(port):
    lines = outcomes(start(port, 0), start(port, 1, 3))
    assert lines[0] == lines[1]
    assert "was told that there are 3 processes, process 0 2" in lines[0]


def test_a_process_that_lost_its_first_connection_is_not_two(port):
    here = {}
    links = [Link(end) for _ in range(2) for end in socket.socketpair()]
    hello = {"member": [1, "node1", 7], "count": 2, "facts": {}, "token": "the same"}
    for link in links[::2]:
        assert rendezvous._admit(start(port, 0), here, link, hello) == ""
    assert here == {1: links[2]}
    for link in links:
        link.close()


def test_two_of_one_number_are_named(port):
    lines = outcomes(start(port, 0, 3), start(port, 1, 3), start(port, 1, 3))
    assert len(set(lines)) == 1 and "were started as the same process" in lines[0]


def test_those_that_do_not_come_are_named_to_those_that_did(port, monkeypatch, capsys):
    monkeypatch.setattr(rendezvous, "_QUIET", 1)
    lines = outcomes(start(port, 0, 4, patience=2), start(port, 2, 4))
    assert len(set(lines)) == 1
    assert "processes 1, 3 of 4 did not come within 2 s (--join-timeout); start all" in lines[0]
    assert "waiting up to 2 s for processes 1, " in capsys.readouterr().err


def test_a_first_process_that_does_not_come_is_named(port):
    (line,) = outcomes(start(port, 1, patience=0.5))
    assert f"process 0 at 127.0.0.1:{port} (Connection refused) did not come" in line


def test_another_program_on_the_port_is_no_first_process(port, monkeypatch):
    monkeypatch.setattr(rendezvous, "_ANSWER", 0.3)
    with socket.create_server(("127.0.0.1", port)):
        (line,) = outcomes(start(port, 1, patience=0.5))
        assert "did not come" in line
        (line,) = outcomes(start(port, 0))
    assert f"cannot listen on port {port}" in line


@pytest.mark.parametrize(
    "said",
    [b'{"here": 5}', b'{"here": [0, 1, 2]}', b'{"refused": 7}', b'{"start": 1}', b"[" * 10**5],
    ids=range(5),
)
def test_what_answers_otherwise_than_a_first_process_is_none(port, monkeypatch, said):
    monkeypatch.setattr(rendezvous, "_ANSWER", 0.3)
    with socket.create_server(("127.0.0.1", port)) as server, ThreadPoolExecutor(1) as pool:
        found = pool.submit(outcomes, start(port, 1, patience=0.5))
        caller, _ = server.accept()
        with caller:
            caller.sendall(said + b"\n")
            (line,) = found.result()
    assert "process 0 at" in line and "did not come" in line


def test_the_first_process_has_to_be_on_the_machine_that_is_named(port):
    (line,) = outcomes(start(port, 0, host="nowhere.invalid"))
    assert f"cannot be reached at nowhere.invalid:{port}" in line
    assert "HOST is the machine of process 0" in line
