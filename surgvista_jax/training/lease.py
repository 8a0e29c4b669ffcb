"""One run at a time in a folder of a bucket, where the kernel has no lock to give.

The lease is an object that says who has the folder and when that was last so. A holder renews it
while it lives. One that was killed is seen to be gone on its own machine; else it is waited for
until it renews, and so lives, or is stale: that its number is some process's says little, as
numbers are used again. Clocks of machines are taken to agree within a minute or two.
"""

import contextlib
import json
import os
import socket
import sys
import threading
import time
import uuid
from collections.abc import Callable
from typing import Any

from surgvista_jax.buckets import Bucket
from surgvista_jax.errors import UserError
from surgvista_jax.json_object import parse

NAME = ".surgvista_lease.json"
RENEWED = 60.0  # seconds
STALE = 300.0  # seconds after which a holder that renews nothing is taken to be gone
_LOOK = 2.0  # seconds between two looks at a lease that is waited for


class Lease:
    """A lease of a folder; a context manager, which waits for one that may be of a killed process.

    Args:
        bucket: the folder.
        lost: called once, in a thread, when another process has taken the folder.

    Raises:
        UserError: another process has it: which, and when it was heard of.
    """

    def __init__(self, bucket: Bucket, lost: Callable[[], None]):
        self._bucket, self._lost = bucket, lost
        self._about = {
            "host": socket.gethostname(),
            "space": _space(),
            "pid": os.getpid(),
            "since": time.strftime("%F %T %z"),
            "id": uuid.uuid4().hex,
        }
        self._ended, self._lock = threading.Event(), threading.Lock()
        self.is_lost = False

    def __enter__(self) -> "Lease":
        begun, first = time.monotonic(), None
        while not (created := self._bucket.create(NAME, self._text())):
            held = _read(self._bucket)
            if first and held and held != first:  # it lives
                break
            # By this process's clock alone, too: that of the holder may be ahead.
            if self._may_take_from(held) or time.monotonic() - begun > STALE:
                if _read(self._bucket) == held:  # nobody else has just taken it
                    self._bucket.remove(NAME)
                    created = self._bucket.create(NAME, self._text())
                break
            if first is None:
                first = held
                print(_words(self._bucket, held, waits=True), file=sys.stderr)
            time.sleep(_LOOK)
        held = _read(self._bucket)
        # Where a store lets two create it at once, the last one is there.
        if not created or held.get("id") != self._about["id"]:
            raise UserError(_words(self._bucket, held))
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._ended.set()
        self._thread.join()
        if not self.is_lost:
            with contextlib.suppress(UserError):  # it will be stale soon
                self._bucket.remove(NAME)

    def check(self) -> bool:
        """Whether the folder is still this process's; what cannot be asked is taken to be so."""
        with self._lock, contextlib.suppress(UserError):
            if not self.is_lost:
                if _read(self._bucket).get("id") == self._about["id"]:
                    self._bucket.write(NAME, self._text())
                else:
                    self.is_lost = True
                    self._lost()
        return not self.is_lost

    def _renew(self) -> None:
        while not self._ended.wait(RENEWED) and self.check():
            pass

    def _text(self) -> bytes:
        return json.dumps({**self._about, "at": time.time()}).encode() + b"\n"

    def _may_take_from(self, held: dict[str, Any]) -> bool:
        return _silent(held) > STALE or _is_dead_here(held)


def _silent(held: dict[str, Any]) -> float:
    """Seconds since a holder was heard of."""
    return time.time() - float(held.get("at", 0))


def _words(bucket: Bucket, held: dict[str, Any], waits: bool = False) -> str:
    who = f"host {held.get('host')}, pid {held.get('pid')}, since {held.get('since')}"
    silent = max(_silent(held), 0.0) if "at" in held else 0.0
    heard, left = f"({who}; heard of {silent:.0f} s ago)", max(STALE - silent, 1)
    if waits:
        return (
            f"{bucket.address}: another process was at work here {heard}: waiting until it is heard"
            f" of again, or for {left:.0f} s, after which it is taken to be gone"
        )
    return (
        f"{bucket.address}: another process is at work here {heard}; wait for its end, or, if"
        f" it was killed, {left:.0f} s; or take another --workdir"
    )


def _read(bucket: Bucket) -> dict[str, Any]:
    try:
        held = parse((bucket.read(NAME) or b"{}").decode())
        float(held.get("at", 0))
        return dict(held)
    except (ValueError, TypeError, AttributeError):
        return {}


def _is_dead_here(held: dict[str, Any]) -> bool:
    """Whether the holder was a process of this machine, and is no more."""
    if (held.get("host"), held.get("space")) != (socket.gethostname(), _space()):
        return False
    try:
        os.kill(int(held["pid"]), 0)
    except ProcessLookupError:
        return True
    except (OSError, KeyError, ValueError, TypeError, OverflowError):
        return False
    return False


def _space() -> str:
    """In which numbers of processes mean the same: containers have their own."""
    try:
        return os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
