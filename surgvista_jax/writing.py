"""Writing a file whole, or not at all.

A new file is written aside, in a folder of its own beside its place, forced to the disk, and then
renamed to its place. Whoever reads there, also after a crash or on a full disk, finds the old file
or the new one, and two who write the same file do not meet.
"""

import contextlib
import errno
import json
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from surgvista_jax.addresses import refuse_address
from surgvista_jax.errors import UserError

_LATE, _PATIENCE = 0.2, 5.0  # s that nothing comes anew, and that this is waited for
_ASIDE = ".partial-"
# What `tempfile` adds to that: a folder of another form is not one of ours.
_ASIDE_FORM = re.compile(r"\.partial-[a-z0-9_]{8}")
# An empty file in each of our folders: somebody else's may be called so too.
_MARK = ".surgvista_partial"

# Called with a path and the whole new file before that takes its place; it may refuse by raising.
Guard = Callable[[Path, Path], None]


class CannotWrite(UserError):
    """A file or folder cannot be written: which, and why."""

    def __init__(self, path: str | os.PathLike, reason: object):
        super().__init__(f"{path}: cannot be written ({reason})")


@contextlib.contextmanager
def writing_to(path: str | os.PathLike) -> Iterator[None]:
    """Turns an OSError of what is done inside into the one line that `path` cannot be written.

    So it does with a text that UTF-8 cannot write.
    """
    try:
        yield
    except OSError as error:
        raise CannotWrite(path, reason_of(error)) from error
    except UnicodeEncodeError as error:
        raise CannotWrite(path, _half_character(error)) from error


def _half_character(error: UnicodeEncodeError) -> str:
    """Of a text that UTF-8 cannot write, such as the name of a file that is not UTF-8: which."""
    near = error.object[max(error.start - 40, 0) : error.end + 40]
    return f"a text is not UTF-8: {near!a}; rename what it names"


def reason_of(error: OSError) -> str:
    """Why something cannot be written; of a file in the way, which it is."""
    if isinstance(error, FileExistsError | NotADirectoryError) and error.filename is not None:
        named = Path(os.fsdecode(error.filename))
        for path in (named, *named.parents):
            if os.path.lexists(path):
                return str(error.strerror) if path.is_dir() else f"{path} is a file, not a folder"
    return str(error.strerror or error)


@contextlib.contextmanager
def replacing(path: str | os.PathLike, guard: Guard | None = None) -> Iterator[Path]:
    """Gives a path to write a new file to, which takes the place of `path` at the end.

    It has the same name, in another folder; after an error it is gone and `path` is as before.
    Folders that lead to `path` are made. A link stays, and what it points to is replaced. Anybody
    may read the file who may read the user's new files, however it is written.

    Where nothing was when the guard was asked, nothing is replaced that has come there since.

    Raises:
        CannotWrite: the file cannot be written, or is a folder.
        UserError: what is done inside failed at another file, such as one that it reads.
    """
    with replacing_all([path], guard) as (aside,):
        yield aside


@contextlib.contextmanager
def replacing_all(
    paths: Sequence[str | os.PathLike], guard: Guard | None = None
) -> Iterator[list[Path]]:
    """As `replacing`, for several files: all take their places or, after an error, none does.

    A kill leaves at every place the old file or the new one.
    """
    with contextlib.ExitStack() as asides:
        files = [_aside(Path(path), asides) for path in paths]
        try:
            yield [file.aside for file in files]
        except OSError as error:
            if not (failed := _failed(error, files)):
                raise UserError(f"{error.filename}: {error.strerror}") from error
            named = ", ".join(str(file.path) for file in failed)
            raise CannotWrite(named, error.strerror or error) from error
        except UnicodeEncodeError as error:
            raise CannotWrite(", ".join(map(str, paths)), _half_character(error)) from error
        moving = [file for file in files if file.aside != file.place]
        for file in moving:
            with writing_to(file.path):
                file.aside.chmod(file.mode)  # safetensors' files are their owner's alone
                with open(file.aside, "rb+") as written:
                    os.fsync(written.fileno())
        new = {file.place for file in moving if guard and not os.path.lexists(file.place)}
        for file in moving:
            if guard is not None:
                with writing_to(file.path):
                    guard(file.path, file.aside)
        _rename(moving, new)


class _File(NamedTuple):
    """A file that is written: as the caller names it, where it is written, and where it goes."""

    path: Path
    aside: Path
    place: Path
    mode: int


def _aside(path: Path, asides: contextlib.ExitStack) -> _File:
    """Makes an empty file to write to instead of `path`."""
    refuse_address(path)
    with writing_to(path):
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        if path.exists() and not path.is_file():
            # A device or a pipe, such as /dev/null, has no other place.
            return _File(path, path, path, path.stat().st_mode)
        place = Path(os.path.realpath(path))
        place.parent.mkdir(parents=True, exist_ok=True)
        folder = tempfile.TemporaryDirectory(
            prefix=_ASIDE, dir=place.parent, ignore_cleanup_errors=True
        )
        aside = Path(asides.enter_context(folder), path.name)
        aside.with_name(_MARK).touch()
        aside.touch()
        return _File(path, aside, place, aside.stat().st_mode)


def _failed(error: OSError, files: Sequence[_File]) -> list[_File]:
    """The files that an error is about: all where it names none, as one of a full disk."""
    names = [
        Path(os.fsdecode(name))
        for name in (error.filename, error.filename2)
        if isinstance(name, (str, bytes, os.PathLike))
    ]
    if not names:
        return list(files)
    named = {*names, *(name.parent for name in names)}
    return [
        file
        for file in files
        if file.aside in names or (file.aside != file.place and file.aside.parent in named)
    ]


def _rename(files: Sequence[_File], new: Collection[Path]) -> None:
    """Renames files to their places; after an error, what stood there stands there again.

    Nothing is replaced at the `new` places, whatever has come there.
    """
    with contextlib.ExitStack() as undo:
        for number, file in enumerate(files, start=1):
            with writing_to(file.path):
                if number < len(files):  # nothing after the last can fail: it is not taken back
                    undo.callback(_take_back, file, _keep(file))
                if file.place in new:
                    _move_new(file)
                else:
                    os.replace(file.aside, file.place)
        undo.pop_all()


def _move_new(file: _File) -> None:
    try:
        os.link(file.aside, file.place)
    except FileExistsError:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from None
    except OSError:  # a file system without links
        os.replace(file.aside, file.place)


def _keep(file: _File) -> Path | None:
    """Keeps what stands at a place under a second name, so that no kill finds the place empty."""
    if not file.place.exists():
        return None
    before = file.aside.with_name(f"{file.aside.name}.before")
    try:
        os.link(file.place, before)
    except OSError:  # a file system without links
        shutil.copy2(file.place, before)
    return before


def _take_back(file: _File, before: Path | None) -> None:
    with writing_to(file.path):
        if before is None:
            file.place.unlink(missing_ok=True)
        else:
            os.replace(before, file.place)


def clear_asides(folder: Path) -> None:
    """Removes what killed writers left in a folder; nobody else may be writing there.

    Their folders are known by their names and by what marks them; links are left alone.
    """
    for left in folder.glob(f"{_ASIDE}*"):
        if not _ASIDE_FORM.fullmatch(left.name) or left.is_symlink():
            continue
        if (left / _MARK).is_file():
            shutil.rmtree(left, ignore_errors=True)
        else:  # killed before it was marked, or not ours
            with contextlib.suppress(OSError):
                left.rmdir()


def remove_written(folder: Path) -> None:
    """Removes a folder of ours into which threads of a writer that failed may still be writing.

    TensorStore's do, and make its folders anew: it has to stay away for a while.
    """
    began = time.monotonic()
    until = began + _LATE
    while time.monotonic() < until < began + _PATIENCE:
        if os.path.lexists(folder):
            shutil.rmtree(folder, ignore_errors=True)
            until = time.monotonic() + _LATE
        time.sleep(_LATE / 10)


@contextlib.contextmanager
def new_folder(path: str | os.PathLike) -> Iterator[Path]:
    """Gives an empty folder to fill, which becomes `path` at the end; after an error it is gone.

    Raises:
        CannotWrite: `path` is there, and not an empty folder, or cannot be written.
    """
    refuse_address(path)
    place = Path(path).absolute()
    with writing_to(path):
        place.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=_ASIDE, dir=place.parent))
    try:
        (made / _MARK).touch()
        aside = made / place.name
        aside.mkdir()
        yield aside
        with writing_to(path):
            os.rename(aside, place)
    finally:
        shutil.rmtree(made, ignore_errors=True)


def write_text(
    path: str | os.PathLike, text: str | Iterable[str], guard: Guard | None = None
) -> None:
    """Writes a whole file in UTF-8, from one text or from parts that are taken one by one.

    Raises:
        CannotWrite: it cannot be written.
    """
    parts = [text] if isinstance(text, str) else text
    with replacing(path, guard) as aside, open(aside, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(parts)


def write_bytes(path: str | os.PathLike, data: bytes) -> None:
    """As `write_text`, of bytes."""
    with replacing(path) as aside:
        aside.write_bytes(data)


def write_json(path: str | os.PathLike, value: Any, guard: Guard | None = None) -> None:
    """As `write_text`, of a value as JSON; a number that is not finite has none: ValueError."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(path, text, guard)


def append_line(path: str | os.PathLike, value: Mapping) -> None:
    """Adds a line to a .jsonl file; it is not forced to the disk, and a kill may cut it off.

    Raises:
        CannotWrite: it cannot be written.
    """
    with writing_to(path), open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(value, ensure_ascii=False) + "\n")
