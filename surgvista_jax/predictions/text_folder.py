"""The field's text layout: a folder with one file of phases for each video.

Each line is `Frame<TAB>Phase` (or separated by blanks or a comma), with or without a header, or the
phase alone, one line a frame. Phases are names (case, blanks and underscores do not matter) or
numbers from 0 or from 1; -1, -100, nan or nothing after a frame mean that it is unlabelled. Files
may end in .gz, and lie in folders where ids of videos have slashes.
"""

import gzip
import re
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np

from surgvista_jax.data.labels.tables import decoded
from surgvista_jax.errors import UserError
from surgvista_jax.predictions.class_names import class_ids
from surgvista_jax.predictions.frames import Predictions, assemble

_ENDINGS = re.compile(r"[-_](phases?|preds?|predictions?|labels?|gt|ground_?truth)$", re.IGNORECASE)


def phase_files(folder: Path, source: str) -> dict[str, Path]:
    """Video id -> file, of every .txt or .txt.gz at any depth; folders belong to the id.

    Raises:
        UserError: there is none, or a video has two.
    """
    found: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.txt*")):
        below = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in below.parts)
        if hidden or not path.name.removesuffix(".gz").endswith(".txt"):
            continue
        video = _video_of(below)
        if video in found:
            raise UserError(f"{source}: {found[video].name} and {path.name} are both {video}")
        found[video] = path
    for video, path in found.items():
        # A copy of the files in a folder among them would be scored as further videos.
        if "/" in video and (name := video.rpartition("/")[2]) in found:
            raise UserError(
                f"{source}: {path.relative_to(folder)} and {found[name].name} are both {name}; "
                "move other files than those of these videos away"
            )
    if not found:
        raise UserError(f"{source}: no .txt files; one file of `Frame<TAB>Phase` a video is needed")
    return found


def _video_of(path: Path) -> str:
    """The id of the video that a file, below its folder, is of."""
    return _ENDINGS.sub("", path.as_posix().removesuffix(".gz").removesuffix(".txt"))


def read_folder(
    folder: Path,
    source: str,
    fps: float,
    classes: tuple[str, ...],
    first_class: int | None = None,
) -> Predictions:
    """Reads a folder of phase files, or one such file, as decisions without scores.

    Args:
        fps: rate of the frame numbers: frame / fps = seconds.
        classes: names in the order of their ids.
        first_class: number of the first class where phases are numbers (class_names.class_ids).
    """
    videos, frames, labels, places = [], [], [], []
    single = folder.is_file()
    files = {_video_of(Path(folder.name)): folder} if single else phase_files(folder, source)
    for video, path in files.items():
        where = source if single else f"{source}/{path.relative_to(folder).as_posix()}"
        frame, label, lines = _read_file(path, where)
        videos.append(np.full(len(frame), video))
        frames.append(frame)
        labels.extend(label)
        places += [f"{where}, line {line}" for line in lines]
    from_one = all(frame[0] == 1 for frame in frames)
    found = assemble(
        source,
        np.concatenate(videos),
        np.concatenate(frames) - from_one,
        fps,
        decision=class_ids(np.array(labels), classes, source, first_class, places.__getitem__),
        classes=classes,
    )
    note = f"{source}: frames are numbered from 1; frame 1 was taken for second 0"
    return replace(found, notes=(*found.notes, note)) if from_one else found


def _read_file(path: Path, source: str) -> tuple[np.ndarray, list[str], list[int]]:
    """Frames int64 [n], the text of each label, and the number of its line."""
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.suffix == ".gz" else data
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"{source}: not readable as text ({error})") from None
    frames: list[int] = []
    labels: list[str] = []
    lines: list[int] = []
    numbered = False  # whether lines begin with the number of a frame
    header_may_come = True
    blank = 0  # the first empty line since the last that was not
    for number, line in enumerate(decoded(data, source).split("\n"), start=1):
        words = [word for word in re.split(r"[\t ,;]+", line.strip(), maxsplit=1) if word]
        if not words:
            blank = blank or number
            continue
        if header_may_come and words[0].lower() in ("frame", "frames", "phase"):
            header_may_come = False
            continue
        header_may_come = False
        if len(words) == 1 and (numbered or re.fullmatch(r"\s*[0-9]+[ ]*[\t,;]\s*", line)):
            words.append("")  # a frame without a label
        if len(words) == 1:
            words = [str(len(frames)), words[0]]
        elif found := re.fullmatch(r"([0-9]{1,15})(?:\.0*)?", words[0]):
            words[0], numbered = found[1], True
        else:
            if re.fullmatch(r"[0-9]+", words[0]):
                raise UserError(f"{source}, line {number}: no video has frame {words[0]:.40}")
            if numbered:
                raise UserError(f"{source}, line {number}: {words[0]!r} is not a frame number")
            words = [str(len(frames)), line.strip()]  # a phase of several words, without a frame
        if blank and frames and not numbered:
            raise UserError(f"{source}, line {blank}: empty; a phase for each frame is needed")
        blank = 0
        frames.append(int(words[0]))
        labels.append(words[1].strip())
        lines.append(number)
    if not frames:
        raise UserError(f"{source}: no frames in this file")
    seen = np.array(frames)
    late = np.flatnonzero(np.diff(seen) <= 0)
    if len(late):
        line = late[0] + 1
        raise UserError(
            f"{source}: frame {seen[line]} comes after frame {seen[line - 1]}; frame numbers must "
            "ascend without repeats"
        )
    return seen, labels, lines
