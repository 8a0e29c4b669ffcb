"""Has no step ended for too long?  Who is behind, where each process stands, and what is done then.

A device, a network or a disk that hangs raises no error: the processes wait for ever, and hold
their machines. The first process looks at the clock for all, for no step ends on it either.
"""

import contextlib
import faulthandler
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType

import jax

import surgvista_jax
from surgvista_jax import stuck
from surgvista_jax.counted import counted
from surgvista_jax.errors import STANDS_STILL
from surgvista_jax.training.durations import in_words
from surgvista_jax.training.links import Member
from surgvista_jax.training.watch import Place, Watch

ACTIONS = END, WARN = "end", "warn"
_TIMES = 3  # as long as the longest step so far, if that is longer: models may be large and slow
_LOOK = 1.0  # seconds between two looks at the clock
_STOPPED = 5.0  # seconds between two looks, above which this process itself was stopped
_WRITING = 5.0  # seconds for the stacks: the disk may be what hangs
_NAMED = 4  # processes that a line names
_OURS = str(Path(surgvista_jax.__file__).parent)


class Standstill:
    """A thread that looks whether steps end; a context manager.

    Args:
        seconds: without a step ended, after which it is told; 0: never.
        action: "end" ends this process and the others with status 75, "warn" goes on waiting.
        folder: of the run; `standstill.txt` there gets the stacks of all threads.
        watch: of the other processes; None where there are none.
        first_is_us: whether this is process 0, which looks at the clock.
    """

    def __init__(
        self,
        seconds: float,
        action: str,
        folder: Path,
        watch: Watch | None = None,
        first_is_us: bool = True,
    ):
        self._seconds, self._action, self._folder = seconds, action, folder
        self._watch = watch
        # What follows the steps goes on where they ended.
        self._place = (watch and watch.place) or Place(0, "starting")
        self._main = threading.get_ident()
        self._since: float | None = None  # when a step last ended; None: not looked at
        self._others: Mapping[Member, Place] = {}  # where they stood at the last look
        self._longest = 0.0
        self._told: float | None = None  # since when nothing had ended as it was told
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        if seconds and first_is_us:
            self._thread = threading.Thread(target=self._look, name="standstill", daemon=True)

    def at(self, begun: int, doing: str) -> None:
        """Says what this process does next, see `Place`."""
        part = self._place.part + 1 if begun == self._place.begun else 0
        self._stand(Place(begun, doing, part=part))

    def evaluated(self, batches: int) -> None:
        """So many batches of the evaluation that this process is at are done."""
        self._stand(self._place._replace(evaluated=batches))
        self.alive()

    def _stand(self, place: Place) -> None:
        self._place = place
        if self._watch is not None:
            self._watch.stand(place)

    def compiling(self) -> None:
        """Nothing is expected to end until the next step has, which is compiled first."""
        self._since = None

    def ended(self) -> None:
        """A step has."""
        if self._since is not None:  # else it was compiled first
            self._longest = max(self._longest, time.monotonic() - self._since)
        self._goes_on()

    def alive(self) -> None:
        """Something has ended that is no step, such as a save or a part of an evaluation."""
        if self._since is not None:
            self._goes_on()

    @property
    def counts(self) -> bool:
        """Whether something is expected to end."""
        return self._since is not None

    def _goes_on(self) -> None:
        told, self._told = self._told, None
        self._since = time.monotonic()
        if told is not None:
            _say(f"the run goes on: it stood still for {in_words(self._since - told)}")

    def __enter__(self) -> "Standstill":
        if self._watch is not None:
            self._watch.heed(self._heed)
        if self._thread is not None:
            self._thread.start()
        _running.append(self)
        return self

    def __exit__(self, *exception: object) -> None:
        _running.remove(self)
        if self._watch is not None:
            self._watch.heed(None)
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _look(self) -> None:
        looked = moved = time.monotonic()
        while not self._over.wait(min(_LOOK, self._seconds / 4)):
            now, since = time.monotonic(), self._since
            if now - looked > _STOPPED and since is not None:
                self._since = since = since + now - looked
                moved += now - looked
            looked = now
            # In an evaluation each goes at its own pace: the last one that gets on keeps all.
            if self._watch is not None and (others := self._watch.stands()) != self._others:
                self._others, moved = others, now
            if since is None or self._told is not None:
                continue
            since = max(since, moved)
            if now - since > max(self._seconds, _TIMES * self._longest):
                self._told = since
                self._tell(now - since)

    def _tell(self, seconds: float) -> None:
        own = Member(jax.process_index(), socket.gethostname(), os.getpid())
        places = {own: self._place} | (self._watch.stands() if self._watch else {})
        words = f"nothing has ended for {in_words(seconds)}: {where(places)}"
        ends = self._action == END
        if self._watch is not None:
            self._watch.tell_standstill(words, ends)
        self._heed(words, ends)

    def _heed(self, words: str, ends: bool) -> None:
        """Tells it, writes where this process stands, and ends it if that is asked for."""
        process = f".{jax.process_index()}" if jax.process_count() > 1 else ""
        path = self._folder / f"standstill{process}.txt"
        then = (
            f"ends with status {STANDS_STILL}: start all again (a run goes on from its newest"
            " checkpoint)"
            if ends
            else f"waits on (config.loop.on_standstill={WARN})"
        )
        main = sys._current_frames().get(self._main)
        _say(f"{words}; here {_in_main(main)}; {path} says more; {then}")
        writer = threading.Thread(target=_write_stacks, args=(path, words), daemon=True)
        writer.start()
        writer.join(_WRITING)
        if ends:
            stuck.end_at_once(STANDS_STILL)


_running: list[Standstill] = []  # of the run under way in this process


def alive() -> None:
    """`Standstill.alive` of the run under way, if there is one and its first step has ended."""
    for standstill in _running:
        standstill.alive()


def evaluated(batches: int) -> None:
    """`Standstill.evaluated` of the run under way, if there is one."""
    for standstill in _running:
        standstill.evaluated(batches)


@contextlib.contextmanager
def compiling() -> Iterator[None]:
    """Within the block, in which an evaluation is compiled, nothing is expected to end."""
    counting = [standstill for standstill in _running if standstill.counts]
    for standstill in counting:
        standstill.compiling()
    try:
        yield
    finally:
        for standstill in counting:
            standstill._goes_on()


def where(places: Mapping[Member, Place]) -> str:
    """Who is behind the others, and at what; else at what all are."""
    least = min(_reached(place) for place in places.values())
    behind = {member: place for member, place in places.items() if _reached(place) == least}
    rest = len(places) - len(behind)
    by_doing: dict[str, list[Member]] = {}
    for member, place in behind.items():
        batches = counted(place.evaluated, "batch", "batches")
        done = f", {batches} done" if place.evaluated else ""
        by_doing.setdefault(place.doing + done, []).append(member)
    said = " and ".join(
        f"{_names(members, len(places))} {'is' if len(members) == 1 else 'are'} {doing}"
        for doing, members in by_doing.items()
    )
    if rest:
        others = "the other one is" if rest == 1 else f"the other {rest} are"
        return f"{said}; {others} further on and wait{'s' if rest == 1 else ''}"
    if len(places) > 1 and len(by_doing) == 1:
        return f"{said}, none of them behind: a device, or the network between them, hangs"
    return said


def _reached(place: Place) -> tuple[int, int, int]:
    return place.begun, place.part, place.evaluated


def _names(members: list[Member], count: int) -> str:
    if len(members) == count > 1:
        return f"all {count} processes"
    more = f" and {len(members) - _NAMED} more" if len(members) > _NAMED else ""
    return ", ".join(map(str, members[:_NAMED])) + more


def _in_main(frame: FrameType | None) -> str:
    """Where the main thread is: its innermost function, and the innermost of ours."""
    if frame is None:
        return "the main thread has ended"
    # The file's name alone is asked for: its lines are read from a disk, which may hang.
    inner: FrameType | None = frame
    while inner is not None and not inner.f_code.co_filename.startswith(_OURS):
        inner = inner.f_back
    said = f"the main thread is in {_place_of(frame)}"
    return said if inner in (None, frame) else f"{said}, called by {_place_of(inner)}"


def _place_of(frame: FrameType | None) -> str:
    assert frame is not None
    path = frame.f_code.co_filename
    if path.startswith(_OURS):
        path = os.path.relpath(path, os.path.dirname(_OURS))
    elif "site-packages" in path:
        path = path.rpartition(f"site-packages{os.sep}")[2]
    else:
        path = os.path.basename(path)
    return f"{path}:{frame.f_lineno} ({frame.f_code.co_name})"


def _write_stacks(path: Path, words: str) -> None:
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {words}\n")
            file.flush()
            faulthandler.dump_traceback(file)
            file.write("\n")
    except OSError as error:
        _say(f"{path}: cannot be written ({error.strerror})")


def _say(words: str) -> None:
    try:
        print(f"surgvista: {words}", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        pass  # the terminal may be gone
