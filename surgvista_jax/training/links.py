"""What do two processes of a run say to one another, beside JAX?  Lines of JSON over TCP."""

import json
import socket
import threading
import time
from typing import Any, NamedTuple

_LONGEST = 2**22  # bytes of one message
_SEND_SECONDS = 10.0


class Member(NamedTuple):
    """One process of a run.

    Attributes:
        process: its number, from 0.
        host: its machine.
        pid: there.
    """

    process: int
    host: str
    pid: int

    def __str__(self) -> str:
        return f"process {self.process} ({self.host}, pid {self.pid})"

    @classmethod
    def of(cls, said: Any) -> "Member | None":
        """Who a message names; None where it names nobody."""
        match said:
            case [int(process), str(host), int(pid)]:
                return cls(process, host, pid)
        return None


class Link:
    """A connection to another process; both ends send objects whenever they like.

    Attributes:
        member: who is at the other end; None until it has said so.
        token: what tells two processes apart that say that they are the same member.
        heard: when something last came from there (`time.monotonic`).
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(_SEND_SECONDS)
        self.member: Member | None = None
        self.token = ""
        self.heard = time.monotonic()
        self._connection = connection
        self._came = b""
        self._sending = threading.Lock()

    def fileno(self) -> int:
        return self._connection.fileno()

    def send(self, **message: Any) -> bool:
        """Whether the message could be handed to the system; the other end may be gone."""
        try:
            with self._sending:
                self._connection.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            return False
        return True

    def receive(self) -> list[dict[str, Any]] | None:
        """The messages that have come whole; waits where nothing has come.

        Returns:
            None where the other end is closed, or speaks another language.
        """
        try:
            data = self._connection.recv(2**16)
        except OSError:
            return None
        if not data:
            return None
        self.heard = time.monotonic()
        *lines, self._came = (self._came + data).split(b"\n")
        if len(self._came) > _LONGEST:
            return None
        try:
            messages = [json.loads(line) for line in lines]
        except (ValueError, RecursionError):
            return None
        return messages if all(isinstance(message, dict) for message in messages) else None

    def close(self) -> None:
        self._connection.close()
