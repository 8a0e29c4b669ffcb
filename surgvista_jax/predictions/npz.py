"""`predictions.npz` files, written and read.

Arrays: `video` [N] str, `frame` [N] int64 at the labelled rate, `score` [N, C], `label` [N] or
[N, C] (absent where unknown), and `meta`, a JSON text with task, classes, fps, model, dataset and
split.
"""

import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from surgvista_jax.archives import UNREADABLE, check_members
from surgvista_jax.counted import counted
from surgvista_jax.errors import UserError
from surgvista_jax.json_object import parse
from surgvista_jax.metrics.sampling import check_scores
from surgvista_jax.predictions.frames import Predictions, assemble
from surgvista_jax.writing import Guard, replacing

_UNLABELLED = (-1, -100)
_HIGHEST_CLASS, _HIGHEST_FRAME, HIGHEST_RATE = 10**9, 10**15, 1e6
KEYS = ("video", "frame", "score", "label", "meta")


def write_npz(
    path: Path,
    *,
    video: np.ndarray,
    frame: np.ndarray,
    score: np.ndarray,
    label: np.ndarray | None,
    meta: dict,
    guard: Guard | None = None,
) -> None:
    """Writes a predictions file, whole or not at all; the guard is asked before it is replaced.

    Raises:
        CannotWrite: it cannot be written.
    """
    arrays: dict[str, Any] = {
        "video": np.asarray(video, dtype=np.str_),
        "frame": np.asarray(frame, dtype=np.int64),
        "score": np.asarray(score, dtype=np.float32),
        "meta": np.array(json.dumps(meta)),
    }
    if label is not None:
        arrays["label"] = np.asarray(label)
    with replacing(path, guard) as aside, open(aside, "wb") as file:
        np.savez_compressed(file, **arrays)


def read_npz(path: Path, source: str, *, one_sequence: bool = False) -> Predictions:
    """Reads a predictions file; every fault is a UserError that names the file and the key.

    Args:
        one_sequence: whether the rows are those of several videos one after the other, so that
            `video` and `frame` may be absent.
    """
    try:
        if zipfile.is_zipfile(path):
            check_members(path, KEYS)
        # Opened here, because NumPy leaves a damaged file open.
        with open(path, "rb") as opened, np.load(opened, allow_pickle=False) as file:
            if not hasattr(file, "files"):
                raise UserError(f"{source}: a single array; {', '.join(KEYS)} are needed")
            arrays = {key: file[key] for key in file.files if key in KEYS}
    except UNREADABLE as error:
        if "pickle" in str(error):
            raise UserError(
                f"{source}: holds Python objects; save `video` as a text array (dtype str)"
            ) from None
        raise UserError(f"{source}: not a readable .npz file ({error})") from None
    if one_sequence and "score" in arrays and "video" not in arrays:
        rows = arrays["score"].shape[:1]
        arrays |= {"video": np.full(rows, path.stem), "frame": np.arange(*rows)}
    missing = [key for key in KEYS if key not in arrays and key != "label"]
    if missing:
        hint = "; of several videos in one sequence, see --boundaries" if "video" in missing else ""
        raise UserError(
            f"{source}: array {missing[0]!r} is missing; needed: {', '.join(KEYS)}{hint}"
        )
    meta = _meta(arrays["meta"], source)
    if arrays["video"].dtype.kind not in "US" or arrays["video"].ndim != 1:
        raise UserError(f"{source}: `video` must be a text array [N]")
    if arrays["frame"].dtype.kind not in "iu" or arrays["frame"].ndim != 1:
        raise UserError(f"{source}: `frame` must hold whole numbers [N]")
    if arrays["score"].dtype.kind not in "biuf":
        raise UserError(f"{source}: `score` must hold numbers [N, C]")
    texts = arrays["video"].dtype.kind == "U" and "".join(np.unique(arrays["video"]).tolist())
    if texts and not texts.isprintable():
        raise UserError(f"{source}: `video` holds a name with a character that cannot be printed")
    if arrays["frame"].size and arrays["frame"].max() > _HIGHEST_FRAME:
        raise UserError(f"{source}: frame {arrays['frame'].max()} is beyond any video")
    score = check_scores(arrays["score"], f"{source}: score")
    if "label" in arrays:
        arrays["label"] = _label(arrays["label"], source)
        if arrays["label"].shape[1:] == (1,) != score.shape[1:]:
            raise UserError(f"{source}: `label` is [N, 1]; class ids are [N]")
    named = meta.get("classes", ())
    if named is None:
        raise UserError(f"{source}: meta key 'classes' is null; leave it out where none are known")
    if not isinstance(named, list | tuple) or not all(isinstance(n, str | int) for n in named):
        raise UserError(f"{source}: meta key 'classes' is {named!r:.60}; a list of names is needed")
    classes = tuple(map(str, named))
    if classes and len(classes) != score.shape[1]:
        raise UserError(
            f"{source}: score has {score.shape[1]} columns but meta names"
            f" {counted(len(classes), 'class', 'classes')}"
        )
    fps = meta.get("fps")
    if not isinstance(fps, int | float) or isinstance(fps, bool) or not 0 < fps <= HIGHEST_RATE:
        raise UserError(f"{source}: meta key 'fps' is {fps!r:.60}; the labelled rate is needed")
    video = arrays["video"]
    found = assemble(
        source,
        np.char.decode(video) if video.dtype.kind == "S" else video,
        arrays["frame"],
        float(fps),
        score=score,
        label=arrays.get("label"),
        classes=classes,
    )
    return replace(found, meta=meta)


def _label(label: np.ndarray, source: str) -> np.ndarray:
    """The labels, -1 where there is none, which -100 says too.

    Class ids [N] are whole numbers; labels [N, C] may be shares of annotators, but not NaN, and a
    row of them is unlabelled as a whole or not at all.
    """
    if label.dtype.kind not in "biuf" or label.ndim not in (1, 2):
        raise UserError(f"{source}: `label` must hold numbers, [N] or [N, C]")
    wrong = ~np.isfinite(label)
    none = np.isin(label, _UNLABELLED)
    wrong |= (label < 0) & ~none
    if label.ndim == 1 and label.dtype.kind != "b":
        wrong |= (label != np.rint(label)) | (np.abs(label.astype(float)) > _HIGHEST_CLASS)
    elif label.ndim == 2:
        wrong |= none & ~none.all(axis=1, keepdims=True)
    if wrong.any():
        row = int(np.argwhere(wrong)[0][0])
        raise UserError(
            f"{source}: label of row {row} is {label[row]}; class ids are whole numbers (-1 or "
            "-100: unlabelled), several labels a frame are finite numbers from 0 on, or -1 all"
        )
    if label.ndim == 1:
        label = label.astype(np.int64)
    elif none.any():
        label = label.astype(np.float64)
    return np.where(none, -1, label) if none.any() else label


def _meta(array: np.ndarray, source: str) -> dict:
    try:
        meta = parse(str(array))
    except ValueError as error:
        raise UserError(f"{source}: meta is not JSON ({error})") from None
    if not isinstance(meta, dict):
        raise UserError(f"{source}: meta must be a JSON object with task, classes, fps, ...")
    return meta
