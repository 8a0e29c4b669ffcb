"""Have all processes of a run come, and were they started alike?

Asked before JAX connects them, which waits in silence and ends by an abort. Process 0 listens where
JAX's own service will listen afterwards, and the others report there; each says how many there are
to be and what it runs. The connections stay, for `watch`.
"""

import contextlib
import errno
import os
import secrets
import selectors
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from surgvista_jax.errors import UserError
from surgvista_jax.training.agreement import differences
from surgvista_jax.training.links import Link, Member

_QUIET = 10.0  # seconds until a process that waits says so
_ANSWER = 10.0  # seconds in which a process 0 answers
_RETRY = 0.25  # seconds between two tries to reach it
_BUSY = 2.0  # seconds for which its port may be taken
_LINGER = 5.0  # seconds in which those that come late still learn why the run does not start
_NAMED = 8  # processes that a message names
_ADVICE = (
    "start all of them (srun, mpirun, or the same command with another --process-id), or this one"
    " alone (with SLURM_NTASKS=1 under Slurm)"
)


@dataclass(frozen=True)
class Start:
    """How this process was started.

    Attributes:
        promise: who says how many processes there are, such as "SLURM_NTASKS=4".
        address: "HOST:PORT" where process 0 listens.
        count: how many there are, this one among them.
        process: which of them this one is, from 0.
        patience: seconds to wait for the others.
        facts: what must be the same in all of them.
    """

    promise: str
    address: str
    count: int
    process: int
    patience: float
    facts: Mapping[str, str]

    @property
    def host(self) -> str:
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @property
    def member(self) -> Member:
        return Member(self.process, socket.gethostname(), os.getpid())


def meet(start: Start) -> list[Link]:
    """Waits for the other processes.

    Returns:
        The links to them: of process 0 to each, of the others to process 0.

    Raises:
        UserError: one of them did not come in time, or was started otherwise; process 0 cannot
            listen, or is not where it should be.
    """
    return _gather(start) if start.process == 0 else [_report(start)]


class _Waiting:
    """The seconds that are left, and the one line that says for whom a process waits."""

    def __init__(self, start: Start) -> None:
        self._start, self._began, self._said = start, time.monotonic(), False

    def check(self, whom: str) -> None:
        """Says for whom, once, after a while; raises UserError when it took too long."""
        waited = time.monotonic() - self._began
        promise, patience = self._start.promise, self._start.patience
        if waited >= patience:
            raise UserError(
                f"{promise}: {whom} did not come within {patience:g} s (--join-timeout); {_ADVICE}"
            )
        if waited >= _QUIET and not self._said:
            self._said = True
            line = f"surgvista: {promise}: waiting up to {patience:g} s for {whom}; {_ADVICE}"
            print(line, file=sys.stderr, flush=True)


def _gather(start: Start) -> list[Link]:
    """Process 0: listens until all others have reported."""
    here: dict[int, Link] = {}
    kept: list[Link] = []
    waiting, token = _Waiting(start), secrets.token_hex(8)
    proven, fault, fault_until = False, "", 0.0
    with _listen(start) as listener, selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        links = [_reach_myself(start, token)]
        try:
            while len(here) < start.count - 1 or not proven:
                if fault and time.monotonic() > fault_until:
                    break
                waiting.check(_missing(here, start.count) if proven else "process 0 itself")
                for key, _ in selector.select(_RETRY):
                    link = key.data
                    if link is None:
                        links.append(Link(listener.accept()[0]))
                        selector.register(links[-1], selectors.EVENT_READ, links[-1])
                        continue
                    messages = link.receive()
                    if messages is None:
                        selector.unregister(link)
                        link.close()
                        here = {number: other for number, other in here.items() if other != link}
                    for message in messages or ():
                        proven |= message.get("probe") == token
                        if "hello" in message:
                            found = _admit(start, here, link, message["hello"])
                            if found and not fault:
                                fault, fault_until = found, time.monotonic() + _LINGER
            if fault:
                raise UserError(fault)
            kept = list(here.values())
        except UserError as error:
            for link in here.values():
                link.send(refused=str(error))
            raise
        finally:
            for link in links:
                if link not in kept:
                    link.close()
    for link in kept:  # only now, when JAX's service can have the port
        link.send(start=True)
    return kept


def _listen(start: Start) -> socket.socket:
    family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
    deadline = time.monotonic() + _BUSY
    while True:
        try:
            return socket.create_server(
                ("", start.port),
                family=family,
                backlog=min(start.count + 16, 4096),
                dualstack_ipv6=family == socket.AF_INET6,
            )
        except OSError as error:
            # Another process that tries to reach us may hold it for a moment.
            if error.errno == errno.EADDRINUSE and time.monotonic() < deadline:
                time.sleep(_RETRY)
                continue
            raise UserError(
                f"{start.promise}: process 0 cannot listen on port {start.port}"
                f" ({os.strerror(error.errno or 0)}): is another run using it? Take another port"
                " (--coordinator, or JAX_COORDINATOR_PORT under Slurm and Open MPI)"
            ) from None


def _reach_myself(start: Start, token: str) -> Link:
    """A link of process 0 to where the others will look for it, over which it proves itself."""
    try:
        probe = Link(socket.create_connection((start.host, start.port), timeout=_ANSWER))
    except OSError as error:
        raise UserError(
            f"{start.promise}: process 0 runs on {socket.gethostname()}, and cannot be reached at"
            f" {start.address} ({error.strerror or error}): HOST is the machine of process 0"
        ) from None
    probe.send(probe=token)
    return probe


def _admit(start: Start, here: dict[int, Link], link: Link, hello: Any) -> str:
    """Takes up a process that reports; what is wrong with it, or ""."""
    match hello:
        case {"member": said, "count": int(count), "facts": dict(facts), "token": str(token)}:
            member = Member.of(said)
        case _:
            member, count, facts, token = None, 0, {}, ""
    if member is None or not all(isinstance(value, str) for value in facts.values()):
        return ""  # no process of this command; it hears nothing, and goes
    link.member, link.token = member, token
    link.send(here=start.member)
    fault, before = "", here.get(member.process)
    if before and before.token == link.token:  # it has lost its first connection
        before = None
    if count != start.count:
        fault = f"was told that there are {count} processes, process 0 {start.count}"
    elif not 0 < member.process < start.count or before:
        fault = f"and {before.member if before else start.member} were started as the same process"
    elif found := differences(start.facts, facts):
        fault = f"differs from process 0 ({start.member.host}) in {found}; start all alike"
    if fault:
        fault = f"{start.promise}: {member} {fault}"
        link.send(refused=fault)
    if not before:
        here[member.process] = link
    return fault


def _report(start: Start) -> Link:
    """The others: look for process 0 until it says that all are here."""
    waiting, token = _Waiting(start), secrets.token_hex(8)
    while True:
        with contextlib.ExitStack() as opened:
            try:
                link = opened.enter_context(contextlib.closing(Link(_connect(start))))
                if _welcomed(start, link, waiting, token):
                    opened.pop_all()
                    return link
                why = "what listens there is no process 0 of this command"
            except OSError as error:
                why = str(error.strerror or error)
        waiting.check(f"process 0 at {start.address} ({why})")
        time.sleep(_RETRY)


def _connect(start: Start) -> socket.socket:
    connection = socket.create_connection((start.host, start.port), timeout=_ANSWER)
    # A port of this machine that nobody listens on may be given to the very socket that looks for
    # it, which is then connected with itself.
    if connection.getsockname() == connection.getpeername():
        connection.close()
        raise ConnectionRefusedError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
    return connection


def _welcomed(start: Start, link: Link, waiting: _Waiting, token: str) -> bool:
    """Reports over a link and waits for the others; False where no process 0 is at its end."""
    facts = dict(start.facts)
    link.send(hello={"member": start.member, "count": start.count, "facts": facts, "token": token})
    began = time.monotonic()
    with selectors.DefaultSelector() as selector:
        selector.register(link, selectors.EVENT_READ)
        while link.member or time.monotonic() < began + _ANSWER:
            # Process 0 began to wait before this one did, and names those that are missing.
            whom = (
                "the other processes"
                if link.member
                else f"process 0 at {start.address} (what listens there does not answer)"
            )
            waiting.check(whom)
            if not selector.select(_RETRY):
                continue
            messages = link.receive()
            if messages is None:
                return False
            for message in messages:
                if "here" in message:
                    link.member = Member.of(message["here"])
                    if link.member is None:
                        return False
                if link.member is None:  # whoever listens there has not said that it is process 0
                    return False
                if "refused" in message:
                    raise UserError(str(message["refused"]))
                if "start" in message:
                    return True
    return False


def _missing(here: Mapping[int, Link], count: int) -> str:
    numbers = [number for number in range(1, count) if number not in here]
    shown = ", ".join(map(str, numbers[:_NAMED]))
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return f"process{'es' if len(numbers) > 1 else ''} {shown}{more} of {count}"
