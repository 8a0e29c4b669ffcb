"""How is a good file made bad?  By what people, programs, disks and attackers do to files.

Each function takes randomness and what a file holds, and returns a word for what was done and the
new contents.  They know the form of a file, because bytes that are merely random go no further
than the first check.
"""

import io
import json
import pickle
import re
import struct
import zipfile
from typing import Any

import numpy as np

_LONG = "9" * 5000
WILD = (
    "", " ", "-1", " -1", "-2", "-0.0", "1.0", "3.7", "nan", "inf", "-inf", "1e999", "1e-400",
    "9" * 20, "9" * 400, _LONG, "0x10", "1_0", "½", "²", "١٢", "\0", "a" * 300, "true", "null",
    "None", "../../x", "/dev/null", "/", '"', "'", "a,b", "a;b", "1:2:3", "99:99:99", "-0:00:01",
    "<script>alert(1)</script>", "🜁", "\u202e", "=1+1", "{}", "[]", "%s", "{0}", "a\nb", "-", "--",
)  # fmt: skip
_WILD_JSON = (
    None, True, -1, 0, 1, 1.5, 1e308, 10**20, 10**400, float("nan"), float("inf"), "", "0",
    "\ud800", "\0", "a" * 300, "../../x", "/", [], {}, [[]], [None], {"a": None}, "LONG", "DEEP",
)  # fmt: skip
_DEEP = "[" * 100_000


def _one(rng: np.random.Generator, choices: Any) -> Any:
    return choices[int(rng.integers(len(choices)))]


def table(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    """A text file of lines, whose cells are parted by commas, tabs or blanks."""
    lines = data.decode().splitlines() or [""]
    at = int(rng.integers(len(lines)))
    part = next((mark for mark in ",\t" if mark in lines[at]), " ")
    cells = lines[at].split(part)
    kind = _one(rng, ("cell", "cell", "cell", "digits", "header", "cell lost", "cell more",
                      "line lost", "line doubled", "lines swapped", "quote",
                      "column doubled"))  # fmt: skip
    if kind == "cell":
        cells[int(rng.integers(len(cells)))] = _one(rng, WILD)
    elif kind == "digits":
        lines[at] = _more_digits(rng, lines[at])
    elif kind == "header":
        first = lines[0].split(part)
        first[int(rng.integers(len(first)))] = _one(rng, WILD)
        lines[0] = part.join(first)
    elif kind == "cell lost":
        cells.pop()
    elif kind == "cell more":
        cells.append(_one(rng, WILD))
    elif kind == "quote":
        cells[0] = f'"{cells[0]}'
    if kind in ("cell", "cell lost", "cell more", "quote"):
        lines[at] = part.join(cells)
    elif kind == "line lost":
        del lines[at]
    elif kind == "line doubled":
        lines.insert(at, lines[at])
    elif kind == "lines swapped":
        lines[at], lines[-1] = lines[-1], lines[at]
    elif kind == "column doubled":
        lines = [f"{line}{part}{line.split(part)[-1]}" for line in lines]
    return kind, ("\n".join(lines) + "\n").encode()


def _more_digits(rng: np.random.Generator, text: str) -> str:
    """One of the numbers of a text, also within names, with far more digits."""
    numbers = list(re.finditer("[0-9]+", text))
    if not numbers:
        return text
    number = _one(rng, numbers)
    more = _one(rng, ("9" * 8, "9" * 20, "9" * 400, _LONG))
    return text[: number.start()] + more + text[number.end() :]


def encoding(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    """A text file, as a whole."""
    at = int(rng.integers(len(data) + 1))
    return _one(rng, (
        ("cut", data[:at]),
        ("byte that is no UTF-8", data[:at] + b"\xff" + data[at:]),
        ("NUL", data[:at] + b"\0" + data[at:]),
        ("empty", b""),
        ("mark of byte order", b"\xef\xbb\xbf" + data),
        ("UTF-16", data.decode(errors="replace").encode("utf-16")),
        ("line ends of Windows", data.replace(b"\n", b"\r\n")),
        ("line ends of old Macs", data.replace(b"\n", b"\r")),
        ("blank lines", b"\n\n" + data.replace(b"\n", b"\n\n")),
        ("half a line", data + data[: at // 2].rstrip(b"\n")),
        ("a long line", data + b"x" * 3_000_000),
        ("bytes", rng.bytes(200)),
    ))  # fmt: skip


def json_text(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    """A JSON file: a node of the tree is replaced, lost, or called otherwise."""
    tree = json.loads(data)
    places = list(_places(tree))
    kind = "node"
    if not places or not rng.integers(20):
        tree = _one(rng, _WILD_JSON)
    else:
        parent, key = _one(rng, places)
        kind = _one(rng, ("node", "node", "node", "lost", "renamed", "digits"))
        value = parent.pop(key)
        if kind == "node" and isinstance(parent, list):
            parent.insert(key, _one(rng, _WILD_JSON))
        elif kind == "node":
            parent[key] = _one(rng, _WILD_JSON)
        elif kind == "renamed" and isinstance(parent, dict):
            parent[_one(rng, WILD)] = value
        elif kind == "digits" and isinstance(parent, dict):
            parent[_more_digits(rng, key)] = value
        elif kind == "digits":
            parent.insert(key, _more_digits(rng, value) if isinstance(value, str) else value)
    # Python's json writes no number of 5,000 digits, and no tree deeper than its own stack.
    text = json.dumps(tree).replace('"LONG"', _LONG).replace('"DEEP"', _DEEP)
    return kind, text.encode()


def _places(tree: Any) -> Any:
    """(parent, key) of every node below a tree of JSON."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for key, value in list(items) if isinstance(tree, dict | list) else ():
        yield tree, key
        if isinstance(value, dict | list):
            yield from _places(value)


def json_lines(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    """A file with a JSON object in each line."""
    lines = data.splitlines()
    at = int(rng.integers(len(lines)))
    kind, lines[at] = json_text(rng, lines[at])
    return kind, b"\n".join(lines) + b"\n"


def pickled(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    """A pickle of plain values: another value somewhere, something that would run, or bits."""
    kind = _one(rng, ("values", "values", "values", "code", "binary"))
    if kind == "binary":
        return binary(rng, data)
    if kind == "code":
        return kind, pickle.dumps({"x": _one(rng, (print, io.BytesIO, np.float64(1), {1, 2}))})
    text = json_text(rng, json.dumps(pickle.loads(data)).encode())[1]
    try:
        return kind, pickle.dumps(json.loads(text))
    except (ValueError, RecursionError):  # a number or a nesting that Python does not read
        return "text", text


def binary(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    """Pictures, videos, archives: bits, lengths and ends."""
    at, end = int(rng.integers(len(data))), int(rng.integers(len(data) + 1))
    low, high = min(at, end), max(at, end)
    early = int(rng.integers(min(256, len(data))))  # where headers are
    flipped = bytearray(data)
    for place in rng.integers(len(data), size=int(rng.integers(1, 20))):
        flipped[place] ^= 1 << int(rng.integers(8))
    huge = _one(rng, (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\x00\x00\x80", b"\x00" * 4))
    return _one(rng, (
        ("bits", bytes(flipped)),
        ("cut", data[:at]),
        ("cut, with an end mark", data[:at] + data[-2:]),
        ("zeros", data[:low] + bytes(high - low) + data[high:]),
        ("a part lost", data[:low] + data[high:]),
        ("a part doubled", data[:high] + data[low:]),
        ("a number", data[:early] + huge + data[early + 4 :]),
        ("a number", data[:early] + huge * 2 + data[early + 8 :]),
        ("more at the end", data + rng.bytes(50)),
        ("empty", b""),
        ("text", b"not found\n"),
    ))  # fmt: skip


def safetensors(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    """A file of tensors: its header is JSON with a length before it."""
    (length,) = struct.unpack("<Q", data[:8])
    kind = _one(rng, ("header", "header", "length", "binary"))
    if kind == "binary":
        return binary(rng, data)
    header, rest = data[8 : 8 + length], data[8 + length :]
    if kind == "length":
        length = int(_one(rng, (0, 1, length - 1, length + 1, len(data), 2**40, 2**63, 2**64 - 1)))
    else:
        tree = json.loads(header)
        if rng.integers(2):  # without the checksums that would tell
            tree.get("__metadata__", {}).pop("checksums", None)
        header = json_text(rng, json.dumps(tree).encode())[1]
        length = len(header)
    return kind, struct.pack("<Q", length) + header + rest


def npy(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    """One array: another shape, type or size than there is."""
    array = np.load(io.BytesIO(data))
    kind = _one(rng, ("header", "header", "type", "shape", "values", "binary"))
    if kind == "binary":
        return binary(rng, data)
    if kind == "header":
        shape = _one(rng, ((2**43,), (2**31, 2**31, 8), (-1,), (10**30,), (0,), (1,) * 40))
        described = _one(rng, ("<f4", "|O", "<U400000000", "<f2", "|V8", "<M8[s]", "nonsense"))
        fields = {"descr": described, "fortran_order": False, "shape": shape}
        text = (repr(fields) + "\n").encode()
        return kind, b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + b"\0" * 64
    if kind == "type":
        wanted = _one(rng, ("U7", "S7", "?", "c8", "f2", "i1", "u8", "M8[s]"))
        array = np.zeros(array.shape, wanted)
    elif kind == "shape":
        rows = np.atleast_1d(array)  # some members are one number
        part = rows[0] if rows.size else rows
        array = _one(rng, (array[None], rows[:0], array.reshape(-1), rows[:1], part))
    elif array.size and array.dtype.kind in "fiu":
        values = (np.nan, np.inf, -1, -2, 1e30) if array.dtype.kind == "f" else (-1, -2, 2**31 - 1)
        array = array.copy()
        array.reshape(-1)[int(rng.integers(array.size))] = _one(rng, values)
    elif array.dtype.kind == "U":
        kind, array = "text", np.full(array.shape, _one(rng, WILD))
    buffer = io.BytesIO()
    np.save(buffer, array)
    return kind, buffer.getvalue()


def npz(rng: np.random.Generator, data: bytes) -> tuple[str, bytes]:
    """Several arrays in an archive: one is spoilt, lost, added, or far larger than it looks."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = _one(rng, sorted(members))
    kind = _one(rng, ("array", "array", "array", "meta", "lost", "bomb", "foreign", "binary"))
    if kind == "binary":
        return binary(rng, data)
    if kind == "array":
        kind, members[name] = npy(rng, members[name])
    elif kind == "lost":
        del members[name]
    elif kind == "foreign":
        members[_one(rng, ("../x.npy", "x", "score.npy/", "label.npy.npy"))] = b"text"
    elif kind == "meta" and "meta.npy" in members:
        meta = str(np.load(io.BytesIO(members["meta.npy"])))
        buffer = io.BytesIO()
        np.save(buffer, np.array(json_text(rng, meta.encode())[1].decode()))
        members["meta.npy"] = buffer.getvalue()
    elif kind == "bomb":
        text = repr({"descr": "<f4", "fortran_order": False, "shape": (2**29, 7)}).encode() + b"\n"
        head = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
        members[name] = head + bytes(2**28)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return kind, buffer.getvalue()
