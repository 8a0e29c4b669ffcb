"""How is the field's text layout read: a folder with one file of phases for each video?

Each line is `Frame<TAB>Phase` (or separated by blanks or a comma), with or without a header, or the
phase alone, one line a frame. Phases are names (case, blanks and underscores do not matter) or
numbers from 0 or from 1. Files may end in .gz.
"""

import gzip
import re
from dataclasses import replace
from pathlib import Path

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.metrics.protocols import video_number
from surgvista_jax.predictions.frames import Predictions, assemble, at_rate

_ENDINGS = re.compile(r"[-_](phases?|preds?|predictions?|labels?|gt|ground_?truth)$", re.IGNORECASE)


def phase_files(folder: Path, source: str) -> dict[str, Path]:
    """Video name -> file, of every .txt or .txt.gz in a folder."""
    found = {}
    for path in sorted(folder.iterdir()):
        name = path.name.removesuffix(".gz")
        if not name.endswith(".txt") or path.name.startswith("."):
            continue
        video = _ENDINGS.sub("", name.removesuffix(".txt"))
        if video in found:
            raise UserError(f"{source}: {found[video].name} and {path.name} are both {video}")
        found[video] = path
    if not found:
        raise UserError(f"{source}: no .txt files; one file of `Frame<TAB>Phase` a video is needed")
    return found


def read_folder(folder: Path, source: str, fps: float, classes: tuple[str, ...]) -> Predictions:
    """Reads a folder of phase files as decisions without scores.

    Args:
      fps: rate of the frame numbers: frame / fps = seconds.
      classes: names in the order of their ids.
    """
    videos, frames, labels = [], [], []
    for video, path in phase_files(folder, source).items():
        frame, label = _read_file(path, f"{source}/{path.name}")
        videos.append(np.full(len(frame), video))
        frames.append(frame)
        labels.extend(label)
    from_one = all(frame[0] == 1 for frame in frames)
    found = assemble(
        source,
        np.concatenate(videos),
        np.concatenate(frames) - from_one,
        fps,
        decision=class_ids(np.array(labels), classes, source),
        classes=classes,
    )
    note = f"{source}: frames are numbered from 1; frame 1 was taken for second 0"
    return replace(found, notes=(*found.notes, note)) if from_one else found


def _read_file(path: Path, source: str) -> tuple[np.ndarray, list[str]]:
    try:
        data = path.read_bytes()
        text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8-sig")
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UserError(f"{source}: not readable as text ({error})") from None
    frames, labels = [], []
    for number, line in enumerate(text.splitlines(), start=1):
        words = [word for word in re.split(r"[\t ,;]+", line.strip(), maxsplit=1) if word]
        if not words:
            continue
        if number == 1 and words[0].lower() in ("frame", "frames", "phase"):
            continue
        if len(words) == 1:
            words = [str(len(frames)), words[0]]
        elif not words[0].isdigit():
            if frames and frames[-1] != len(frames) - 1:
                raise UserError(f"{source}, line {number}: {words[0]!r} is not a frame number")
            words = [str(len(frames)), line.strip()]  # a phase of several words, without a frame
        frames.append(int(words[0]))
        labels.append(words[1].strip())
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
    return seen, labels


def _plain(name: str) -> str:
    return re.sub(r"[\s_\-]+", "", name).lower()


def class_ids(names: np.ndarray, classes: tuple[str, ...], source: str) -> np.ndarray:
    """Class ids of phase names or numbers, int64 [N]."""
    distinct, inverse = np.unique(names, return_inverse=True)
    inverse = inverse.ravel()
    if all(re.fullmatch(r"\d+", name) for name in distinct):
        ids = distinct.astype(np.int64)
        if ids.min() >= 1 and classes and ids.max() == len(classes):
            ids = ids - 1  # numbered from 1
        return ids[inverse]
    if not classes:
        raise UserError(
            f"{source}: phases are names such as '{distinct[0]}', whose order this protocol does "
            "not fix; give --classes FILE with one name a line"
        )
    known = {_plain(name): index for index, name in enumerate(classes)}
    unknown = [name for name in distinct if _plain(name) not in known]
    if unknown:
        raise UserError(f"{source}: unknown phase '{unknown[0]}'; known: {', '.join(classes)}")
    return np.array([known[_plain(name)] for name in distinct])[inverse]


def with_truth(
    predictions: Predictions, truth: Predictions, rate: float | None, missing: str
) -> Predictions:
    """Labels from a ground-truth folder, matched by video name (or number) and time.

    Args:
      rate: frames a second to compare at (None: the slower of the two).
      missing: "error" unless every frame of the truth is predicted, or "drop" what is not.
    """
    partner = _partners(predictions, truth)
    _check_durations(predictions, truth, partner)
    rate = rate or min(predictions.fps, truth.fps)
    predictions, truth = at_rate(predictions, rate), at_rate(truth, rate)
    keep, labels, left_out = [], [], 0
    for video, name in enumerate(predictions.videos):
        rows, true_rows = predictions.rows(video), truth.rows(partner[video])
        ticks = np.rint(predictions.frame[rows] / predictions.fps * rate).astype(np.int64)
        true_ticks = np.rint(truth.frame[true_rows] / truth.fps * rate).astype(np.int64)
        position = np.searchsorted(true_ticks, ticks)
        found = np.zeros(len(ticks), bool)
        inside = position < len(true_ticks)
        found[inside] = true_ticks[position[inside]] == ticks[inside]
        absent = np.count_nonzero(~np.isin(true_ticks, ticks)) + np.count_nonzero(~found)
        if absent and missing == "error":
            raise UserError(
                f"{name}: {len(ticks)} predicted frames but {len(true_ticks)} frames of ground "
                f"truth at {rate:g} a second, {absent} without a partner; --missing=drop scores "
                "the common ones"
            )
        left_out += absent
        keep.append(np.flatnonzero(found) + rows.start)
        labels.append(truth.decision[true_rows][position[found]])
    kept = predictions.take(np.concatenate(keep))
    notes = kept.notes
    if left_out:
        notes += (f"{left_out} frames were left out: predicted or in the truth, but not both",)
    return replace(kept, label=np.concatenate(labels), notes=notes)


def _partners(predictions: Predictions, truth: Predictions) -> list[int]:
    by_name = {name: index for index, name in enumerate(truth.videos)}
    numbers = [video_number(name) for name in truth.videos]
    partner = []
    for name in predictions.videos:
        number = video_number(name)
        if name in by_name:
            partner.append(by_name[name])
        elif number is not None and numbers.count(number) == 1:
            partner.append(numbers.index(number))
        else:
            raise UserError(f"{truth.source}: no ground truth for {name}")
    return partner


def _check_durations(predictions: Predictions, truth: Predictions, partner: list[int]) -> None:
    """A wrong fps shows as videos of another length than their truth."""
    for video, name in enumerate(predictions.videos):
        last = predictions.frame[predictions.rows(video)][-1]
        true_last = truth.frame[truth.rows(partner[video])][-1]
        lasts, true_lasts = last / predictions.fps, true_last / truth.fps
        if abs(lasts - true_lasts) > max(2.0, 0.05 * true_lasts):
            raise UserError(
                f"{name}: at fps {predictions.fps:g} the predictions last {lasts:.0f} s, at fps "
                f"{truth.fps:g} the ground truth {true_lasts:.0f} s; check --fps and --truth-fps"
            )
