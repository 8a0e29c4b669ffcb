"""A server of pages and videos for the browsers of this machine alone."""

import hmac
import mimetypes
import os
import re
import secrets
import sys
from collections.abc import Callable, Mapping
from email.utils import formatdate
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote, unquote

from surgvista_jax.errors import UserError, ending
from surgvista_jax.viewer.page import document

ADDRESS = "127.0.0.1"
_CHUNK = 1 << 20  # bytes that are read at a time
_IDLE = 60  # seconds after which a silent connection is closed
_RANGE = re.compile(r"\s*bytes\s*=\s*([0-9]*)\s*-\s*([0-9]*)\s*", re.IGNORECASE)
_DIGITS = 18  # of a number in a range that is read


def byte_range(header: str, size: int) -> tuple[int, int] | None:
    """The part of a file that a Range header asks for, by RFC 9110, section 14: [start, end).

    Args:
        header: its value.
        size: bytes of the file.

    Returns:
        None where it is to be ignored: several parts, another unit, no range at all.

    Raises:
        IndexError: no byte of the file is asked for.
    """
    found = _RANGE.fullmatch(header)
    if not found or found[1] == found[2] == "":
        return None
    first, last = (int(text[:_DIGITS]) if text else None for text in found.groups())
    if first is None:  # the last so many bytes
        if not last or not size:
            raise IndexError(header)
        return max(size - last, 0), size
    if last is not None and last < first:
        return None
    if first >= size:
        raise IndexError(header)
    return first, size if last is None else min(last + 1, size)


class PageServer(ThreadingHTTPServer):
    """Hands out texts and files by exact addresses, and nothing else of the disk.

    Requests that name another host are refused: a page of somebody else's, whose name leads to this
    machine (DNS rebinding), cannot read from it. Nor can other accounts of this machine: all
    addresses begin with a secret of this server.

    Args:
        pages: address below the secret -> what makes that page; the secret alone leads to the
            first. Its links are relative.
        files: address below the secret -> a video.
        port: 0 for any that is free.

    Raises:
        UserError: the port cannot be had.
    """

    daemon_threads = True
    allow_reuse_address = os.name != "nt"  # there, it would share the port

    def __init__(
        self, pages: Mapping[str, Callable[[], str]], files: Mapping[str, Path], port: int = 0
    ):
        self.pages, self.files = pages, files
        self.missing: set[Path] = set()
        self.secret = f"/{secrets.token_urlsafe(16)}"
        self._tickets: set[str] = set()
        try:
            super().__init__((ADDRESS, port), _Handler)
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"--port {port}: cannot be had ({reason}); take another") from None
        self.hosts = {f"{name}:{self.server_port}" for name in (ADDRESS, "localhost")}
        if self.server_port == 80:
            self.hosts |= {ADDRESS, "localhost"}

    @property
    def address(self) -> str:
        """Of the first page, for its user alone."""
        return f"http://{ADDRESS}:{self.server_port}{self.secret}/"

    def address_once(self) -> str:
        """One that leads to `address` once: what a browser is started with, all accounts see."""
        ticket = f"/{secrets.token_urlsafe(16)}"
        self._tickets.add(ticket)
        return f"http://{ADDRESS}:{self.server_port}{ticket}"

    def taken(self, path: str) -> bool:
        """Whether a path is a ticket, which then is no more."""
        try:
            self._tickets.remove(path)
        except KeyError:
            return False
        return True

    def below(self, path: str) -> str | None:
        """The part of a path that is behind the secret; None of one without it."""
        first, last = path[: len(self.secret)], path[len(self.secret) :]
        known = hmac.compare_digest(first.encode(), self.secret.encode())
        return last if known and last[:1] in ("", "/") else None

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A browser that hangs up, as it does at each seek in a video, is no error."""
        if not isinstance(sys.exception(), ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: PageServer
    protocol_version = "HTTP/1.1"
    timeout = _IDLE

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing of requests."""

    def version_string(self) -> str:
        return "surgvista"

    def _answer(self) -> None:
        host = self.headers.get_all("Host") or []
        if len(host) != 1 or host[0].strip().lower() not in self.server.hosts:
            return self._text(HTTPStatus.FORBIDDEN, "This server answers to its own name alone.")
        if not self.path.startswith("/"):
            return self._text(HTTPStatus.BAD_REQUEST, "The address must begin with a slash.")
        path = unquote(self.path.partition("?")[0])
        if self.command == "GET" and self.server.taken(path):
            return self._head(HTTPStatus.FOUND, 0, "text/plain", Location=f"{self.server.secret}/")
        inner = self.server.below(path)
        if inner is None:
            return self._text(HTTPStatus.FORBIDDEN, "Take the whole address that was printed.")
        if inner in ("", "/"):
            first = self.server.secret + quote(next(iter(self.server.pages)))
            return self._head(HTTPStatus.FOUND, 0, "text/plain", Location=first)
        if inner in self.server.pages:
            return self._page(self.server.pages[inner])
        if inner in self.server.files:
            return self._file(self.server.files[inner])
        return self._text(HTTPStatus.NOT_FOUND, "There is no such page.")

    def _page(self, make: Callable[[], str]) -> None:
        try:
            text, status = make(), HTTPStatus.OK
        except Exception as error:
            end = ending(error)
            if end is None:  # a fault of ours, whose traceback is wanted
                self.server.handle_error(self.request, self.client_address)
            else:
                print(end.words, file=sys.stderr)
            words = escape(end.words if end else f"{type(error).__name__}: {error}")
            body = f'<div id="page"><h1>This page cannot be shown</h1><p>{words}</p></div>'
            text, status = document("Not shown", body), HTTPStatus.INTERNAL_SERVER_ERROR
        self._text(status, text, "text/html")

    def _head(self, status: HTTPStatus, length: int, kind: str, **more: str) -> None:
        self.send_response(status)
        headers = {
            "Content-Type": kind,
            "Content-Length": str(length),
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Referrer-Policy": "no-referrer",
            **{name.replace("_", "-"): value for name, value in more.items()},
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def _text(self, status: HTTPStatus, text: str, kind: str = "text/plain") -> None:
        data = text.encode()
        self._head(status, len(data), f"{kind}; charset=utf-8")
        if self.command != "HEAD":
            self.wfile.write(data)

    def _file(self, path: Path) -> None:
        try:
            file = open(path, "rb")
        except OSError:
            if path not in self.server.missing:
                self.server.missing.add(path)
                print(
                    f"{path}: is no longer there; give VIDEO, where it is now",
                    file=sys.stderr,
                )
            return self._text(HTTPStatus.NOT_FOUND, "The video was moved or removed.")
        with file:
            kind = mimetypes.guess_type(path.name)[0] or ""
            # By tables of some systems a .ts is the text of a translator.
            self._part(file, kind if kind.startswith("video/") else "application/octet-stream")

    def _part(self, file: BinaryIO, kind: str) -> None:
        stat = os.fstat(file.fileno())
        size, mark = stat.st_size, f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
        about = {"Accept_Ranges": "bytes", "ETag": mark}
        about["Last_Modified"] = formatdate(stat.st_mtime, usegmt=True)
        asked, fresh = self.headers.get("Range"), self.headers.get("If-Range", mark)
        part = None
        # Of a GET alone, and of a file that is still the one of which the client has a part.
        if asked is not None and self.command == "GET" and fresh.strip() == mark:
            try:
                part = byte_range(asked, size)
            except IndexError:
                status = HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE
                return self._head(status, 0, kind, Content_Range=f"bytes */{size}", **about)
        start, end = part or (0, size)
        if part:
            about["Content_Range"] = f"bytes {start}-{end - 1}/{size}"
        status = HTTPStatus.PARTIAL_CONTENT if part else HTTPStatus.OK
        self._head(status, end - start, kind, **about)
        if self.command == "HEAD":
            return
        file.seek(start)
        while start < end and (data := file.read(min(_CHUNK, end - start))):
            self.wfile.write(data)
            start += len(data)
        if start < end:  # it became shorter meanwhile
            self.close_connection = True
