"""How the rows of a user's CSV file tell the time: seconds, H:MM:SS, frames with their seconds."""

import re
from collections.abc import Sequence

from surgvista_jax.data.labels.tables import HIGHEST, Row
from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import near

# Words in the names of columns that other tools write -> what they are called here.
_CALLED = {
    "start": {"start", "begin", "onset", "from", "starttime", "tstart"},
    "end": {"end", "stop", "offset", "to", "until", "endtime", "tend"},
    "second": {"second", "seconds", "sec", "secs", "s", "time", "timestamp", "t"},
    "frame": {"frame", "frames"},
}
# H:MM:SS or M:SS, of which the first number may be any.
_CLOCK = re.compile(r"(\d{1,9}|\d{1,9}:[0-5]?\d):[0-5]?\d([.,]\d*)?", re.ASCII)
_MOST_APART = 1.0  # seconds between a frame's time and its rate's: times may be whole seconds


def renaming(columns: Sequence[str]) -> str:
    """Which columns may be times under other names, and what they should be called."""
    called: dict[str, str] = {}
    for column in columns:
        words = set(re.findall(r"[a-z]+", column.casefold()))
        for role, others in _CALLED.items():
            if words & others and column != role:
                called.setdefault(role, column)
                break
    if {"start", "end"} <= called.keys() | {*columns}:
        called = {role: column for role, column in called.items() if role in ("start", "end")}
    if called:
        return "; call " + " and ".join(f"{old!r} {new}" for new, old in called.items())
    return near("second", columns) or near("start", columns)


def seconds_of(row: Row, column: str) -> float:
    """Seconds from `12.5`, `3:07`, `1:03:07`, or as subtitles write them `00:03:07,500`."""
    text = row.cells[column].strip()
    if _CLOCK.fullmatch(text):
        seconds = 0.0
        for part in text.replace(",", ".").split(":"):
            seconds = 60 * seconds + float(part)
    else:
        try:
            seconds = row.number(column)
        except UserError as error:
            if "; write" in str(error):  # a decimal comma
                raise
            seconds = -1.0
    if seconds >= HIGHEST:
        raise UserError(f"{row.where}: column {column!r}: no video has a second {text[:60]!r}")
    if seconds < 0:
        raise UserError(
            f"{row.where}: column {column!r}: {text[:60]!r} is neither seconds from 0 on nor "
            "H:MM:SS; write 187.5 or 0:03:07.5"
        )
    return seconds


def first_number(rows: Sequence[tuple[int, Row]]) -> int:
    """1 where frames are numbered from 1, the first one at second 0; else 0."""
    number, row = min(rows, key=lambda pair: pair[0])
    last, end = max(rows, key=lambda pair: pair[0])
    seconds = seconds_of(end, "second")
    if number != 1 or last == 1 or seconds <= 0:
        return int(number == 1 and seconds_of(row, "second") == 0)
    apart = []
    for first in (0, 1):
        fps = (last - first) / seconds
        apart.append(max(abs(seconds_of(r, "second") - (n - first) / fps) for n, r in rows))
    return int(apart[1] + 0.25 * seconds / last < apart[0])


def frame_rate(rows: Sequence[tuple[int, Row]]) -> float:
    """Frames a second, by the last one's second.

    Raises:
        UserError: a frame is told to be at another second than at that rate.
    """
    number, last = max(rows, key=lambda pair: pair[0])
    if not number:
        return 1.0
    seconds = seconds_of(last, "second")
    if seconds <= 0:
        raise UserError(f"{last.where}: frame {number} cannot be at second {seconds:g}")
    fps = _nearest_rate(number, seconds, last.cells["second"])
    for number, row in rows:
        seconds = seconds_of(row, "second")
        if abs(seconds - number / fps) > _MOST_APART:
            raise UserError(
                f"{row.where}: frame {number} is at second {seconds:g}, but by the last frame "
                f"({last.where}) there are {fps:.4g} a second, and it is at {number / fps:.4g}; "
                "where frames do not come evenly, write start,end,label or second,label"
            )
    return fps


def _nearest_rate(number: int, seconds: float, text: str) -> float:
    """The rate that a frame's time implies: a whole one where its last digit allows it.

    Of 29.97 a second only a short video could be of 30.
    """
    fps = number / seconds
    digit = max(10.0 ** -len(text.strip().replace(",", ".").partition(".")[2]), 1e-3)
    is_whole = round(fps) > 0 and abs(fps - round(fps)) < 0.01 * fps
    if is_whole and abs(number / round(fps) - seconds) <= digit:
        return float(round(fps))
    return fps
