"""Is every process of this run alive?

A process that dies leaves the others in a computation that never ends. Each process other than
0 keeps a connection to process 0, which passes on what it learns: a connection that the system
closes means that a process has died, silence that its machine is lost. Whoever remains then ends by
one line that names it.
"""

import queue
import selectors
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from surgvista_jax import stuck
from surgvista_jax.training.links import Link, Member

BEAT = 5.0  # seconds between two signs of life
SILENCE = 40.0  # seconds without one after which a process counts as lost
_GRACE = 2.0  # seconds in which this process may find the same fault as one that ended by an error
_LOOK = 0.5  # seconds between two looks at the clock
_WITHOUT_A_WORD = "ended without a word (killed, out of memory, or crashed)"


class Place(NamedTuple):
    """Where a process stands.

    Attributes:
        begun: steps that it has handed to its devices; one that has begun fewer is behind.
        doing: what it waits for, in words, such as "computing step 12".
        evaluated: batches of an evaluation that it has done since; fewer is behind, too.
        part: how many other things it has done since that step, such as a save and each hook, in
            the order that all have; fewer is behind, whatever was evaluated in them.
    """

    begun: int
    doing: str
    evaluated: int = 0
    part: int = 0


class Watch:
    """A thread that listens to the other processes, and ends this one when one of them has ended.

    Args:
        links: as `rendezvous.meet` returns them.
        is_first: whether this is process 0, to which all others are linked.
        end: called with one line in the thread when another process has ended.
        beat, silence: seconds, see `BEAT` and `SILENCE`.
    """

    def __init__(
        self,
        links: Sequence[Link],
        is_first: bool,
        end: Callable[[str], None] | None = None,
        beat: float = BEAT,
        silence: float = SILENCE,
    ) -> None:
        self._links, self._is_first = list(links), is_first
        self._end = end or end_process
        self._beat, self._silence = beat, silence
        self._lock = threading.Lock()
        self._left: set[int] = set()  # processes that are done, or have said why they end
        self._is_done = self._is_leaving = False
        self._all_done = threading.Event()
        self._fault, self._fault_due = "", 0.0  # of another process, by an error of its own
        self._facts: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
        self.place: Place | None = None  # of this process
        self._places: dict[Member, Place] = {}  # of the others, that are told at each beat
        self._on_standstill: Callable[[str, bool], None] | None = None
        for link in self._links:
            link.heard = time.monotonic()
        threading.Thread(target=self._run, name="watch", daemon=True).start()

    def tell(self, facts: dict[str, str]) -> None:
        """Process 0: hands facts to all others."""
        self._tell_all(facts=facts)

    def hear(self) -> dict[str, str]:
        """The others: what process 0 tells, in its order; waits for it."""
        return self._facts.get()

    def stand(self, place: Place) -> None:
        """Says where this process stands; process 0 learns it at the next beat."""
        self.place = place

    def stands(self) -> dict[Member, Place]:
        """Process 0: where the others stand, as far as they have said."""
        return dict(self._places)

    def heed(self, on_standstill: Callable[[str, bool], None] | None) -> None:
        """What to do when process 0 tells that the run stands still: (words, whether it ends)."""
        self._on_standstill = on_standstill

    def tell_standstill(self, words: str, ends: bool) -> None:
        """Process 0: tells all others that the run stands still; who hears it may end by that."""
        if ends:
            self._is_leaving = True
        self._tell_all(standstill=words, ends=ends)
        time.sleep(_GRACE if ends else 0)

    def fail(self, words: str) -> None:
        """Says why this process ends before the run does; the others end too."""
        self._is_leaving = True
        self._tell_all(ended=words)

    def finish(self) -> None:
        """Waits until all processes are done; from then on each may end when it likes."""
        with self._lock:
            self._is_done = True
        if self._is_first:
            self._check_all_done()
        else:
            self._tell_all(done=True)
        while not self._all_done.wait(_LOOK):  # in parts, or Ctrl-C would not come through
            pass
        self._is_leaving = True

    def _tell_all(self, **message: Any) -> None:
        for link in self._links:
            link.send(**message)

    def _check_all_done(self) -> None:
        with self._lock:
            done = self._is_done and len(self._left) == len(self._links)
        if done and not self._all_done.is_set():
            self._tell_all(done=True)
            self._all_done.set()

    def _run(self) -> None:
        with selectors.DefaultSelector() as selector:
            for link in self._links:
                selector.register(link, selectors.EVENT_READ, link)
            looked = beaten = time.monotonic()
            while not self._is_leaving:
                for key, _ in selector.select(_LOOK):
                    messages = key.data.receive()
                    if messages is None:
                        selector.unregister(key.data)
                        self._closed(key.data.member)
                    for message in messages or ():
                        self._take(key.data.member, message)
                now = time.monotonic()
                if now - looked > self._beat:  # this process itself was stopped for a while
                    for link in self._links:
                        link.heard = now
                looked = now
                if now - beaten >= self._beat:
                    beaten = now
                    self._tell_all(beat=True, **self._own_place())
                self._look(now)
        if self._all_done.is_set():
            if self._is_first:
                self._hear_out()
            for link in self._links:
                link.close()

    def _own_place(self) -> dict[str, Any]:
        return {} if self._is_first or self.place is None else {"place": list(self.place)}

    def _look(self, now: float) -> None:
        if self._fault and now >= self._fault_due and not self._is_leaving:
            self._over(self._fault)
        for link in self._links:
            assert link.member is not None  # it has reported
            if link.member.process not in self._left and now - link.heard > self._silence:
                self._over(f"{link.member} has not been heard of for {self._silence:g} s")

    def _closed(self, member: Member) -> None:
        if member.process not in self._left and not self._all_done.is_set() and not self._fault:
            self._over(f"{member} {_WITHOUT_A_WORD}")

    def _take(self, member: Member, message: dict[str, Any]) -> None:
        if "facts" in message:
            self._facts.put(message["facts"])
        elif "place" in message:
            self._places[member] = Place(*message["place"])
        elif "standstill" in message:
            words, ends = message["standstill"], message["ends"]
            self._is_leaving = self._is_leaving or ends
            if self._on_standstill is not None:
                self._on_standstill(words, ends)
            elif ends:
                self._end(words)
        elif "done" in message:
            self._left.add(member.process)
            if self._is_first:
                self._check_all_done()
            else:
                self._all_done.set()
        elif "over" in message:
            self._over(message["over"])
        elif "ended" in message:
            self._left.add(member.process)
            if not self._fault:
                self._fault = f"{member} ended: {message['ended']}"
                self._fault_due = time.monotonic() + _GRACE

    def _over(self, words: str) -> None:
        """The run is over: passes it on, and ends this process."""
        if self._is_leaving:
            return
        self._is_leaving = True
        if self._is_first:
            self._tell_all(over=words)
            self._hear_out()
        self._end(words)

    def _hear_out(self) -> None:
        """Reads until the others have gone.

        A process that ends with something unread resets its connections, and what it has just sent
        may be lost with them.
        """
        until = time.monotonic() + _GRACE
        with selectors.DefaultSelector() as selector:
            for link in self._links:
                selector.register(link, selectors.EVENT_READ, link)
            while selector.get_map() and time.monotonic() < until:
                for key, _ in selector.select(_LOOK):
                    if key.data.receive() is None:
                        selector.unregister(key.data)


def end_process(words: str) -> None:
    """Ends this process, whose main thread is held in JAX, by one line."""
    print(
        f"surgvista: {words}; this process cannot go on without it: start all again (a run goes on"
        " from its newest checkpoint)",
        file=sys.stderr,
        flush=True,
    )
    stuck.end_at_once(1)
