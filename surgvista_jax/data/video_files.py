"""Which file has each video in a folder with one for each, and is it a name that files can have?"""

import contextlib
import os
import re
import tempfile
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from surgvista_jax.errors import UserError

# Bytes: Linux takes 4,095, and a file is written aside, in a folder of its own.
_LONGEST_PATH = 4000
# What no name of a file holds on some system, and spaces, as `viewer/element.js` has them.
_UNSAFE = re.compile(r'[\x00-\x1f<>:"/\\|?*]+')
_SPACE = r"[.\s\ufeff]"
_LONGEST_SAFE = 120  # UTF-16 units


def file_of(folder: Path, video: str, suffix: str) -> Path:
    """The file of a video in a folder with one for each; an id with "/" has it in sub-folders.

    Raises:
        UserError: the id is none that a file below the folder can have, each id its own.
    """
    parts = video.split("/")
    if not video.isprintable() or any(part in ("", ".", "..") for part in parts):
        raise UserError(
            f"{folder}: video id {video!r} cannot be a file name; mend it in videos.jsonl"
        )
    return folder.joinpath(*parts[:-1], parts[-1] + suffix)


def safe_name(video: str) -> str:
    """How a page calls the files that a browser saves of a video; `safeName` of its scripts."""
    plain = re.sub(rf"^{_SPACE}+|{_SPACE}+$", "", _UNSAFE.sub("_", video))
    kept = plain.encode("utf-16-le", "surrogatepass")[: 2 * _LONGEST_SAFE]
    return kept.decode("utf-16-le", "ignore") or "video"


def files_of(folder: Path, videos: Sequence[str], suffix: str) -> list[Path]:
    """`file_of` of several videos, for whoever wants to write all of them in the end.

    Raises:
        UserError: the first id that has no file, because its name is too long for the file system,
            or which would have that of another id.
    """
    files = [file_of(folder, video, suffix) for video in videos]
    longest = _longest_name(folder)
    for video, path in zip(videos, files, strict=True):
        try:
            parts = [len(os.fsencode(part)) for part in path.relative_to(folder).parts]
            whole = len(os.fsencode(path.absolute()))
        except UnicodeEncodeError as error:
            raise UserError(f"{folder}: video id {video!r}: {error.reason}") from None
        if max(parts) > longest or whole > _LONGEST_PATH:
            raise UserError(
                f"{folder}: video id {video[:60]!r}… is too long for a file name; mend it in"
                " videos.jsonl"
            )
    folders = {parent for path in files for parent in path.parents}
    taken: dict[Path | str, str] = {}
    folds = _folds_case(folder, videos)
    for video, path in zip(videos, files, strict=True):
        key = _folded(video) if folds else path
        if key in taken:
            raise UserError(
                f"{folder}: video ids {taken[key]!r} and {video!r} are one file name here; mend one"
                " in videos.jsonl"
            )
        if path in folders:
            raise UserError(
                f"{folder}: the file of video id {video!r} would have the name of a folder; mend it"
                " in videos.jsonl"
            )
        taken[key] = video
    return files


def _longest_name(folder: Path) -> int:
    """Bytes of the longest file name where a folder is, or will be."""
    for place in (folder, *folder.absolute().parents):
        with contextlib.suppress(OSError):
            return os.pathconf(place, "PC_NAME_MAX")
    return 255


def _folded(video: str) -> str:
    return unicodedata.normalize("NFC", video).casefold()


def _folds_case(folder: Path, videos: Sequence[str]) -> bool:
    """Whether ids that differ in case alone are one file there; looks only if some do."""
    if len({*map(_folded, videos)}) == len(videos):
        return False
    place = next(path for path in (folder, *folder.absolute().parents) if path.is_dir())
    with contextlib.suppress(OSError), tempfile.NamedTemporaryFile(prefix=".Aa", dir=place) as file:
        return Path(place, Path(file.name).name.swapcase()).exists()
    return False
