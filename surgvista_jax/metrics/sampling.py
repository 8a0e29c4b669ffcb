"""Whether labels and time stamps fit together: lengths, class ids, and the claimed rate.

Arrays of one video: truth and prediction int [n] (0-based class ids), seconds float [n]. A fault
raises a UserError of one line, which names the video when `where` says which it is.
"""

import numpy as np

from surgvista_jax.errors import UserError


def check_labels(
    truth: np.ndarray, prediction: np.ndarray, num_classes: int, where: str = "video"
) -> tuple[np.ndarray, np.ndarray]:
    """Returns both as int64 [n], after checking that they are one video's labels in 0..C-1."""
    checked = []
    for name, values in (("ground truth", truth), ("prediction", prediction)):
        values = np.asarray(values)
        if values.ndim != 1:
            raise UserError(f"{where}: {name} has shape {values.shape}; one label a frame, [n]")
        if values.size and not np.issubdtype(values.dtype, np.integer):
            if np.issubdtype(values.dtype, np.floating) and not np.isfinite(values).all():
                raise UserError(f"{where}: {name} holds NaN or infinite labels; class ids are 0..")
            if not np.array_equal(values, values.astype(np.int64)):
                raise UserError(f"{where}: {name} holds labels that are not whole class ids")
        checked.append(values.astype(np.int64))
    if len(checked[0]) != len(checked[1]):
        raise UserError(
            f"{where}: {len(checked[1])} predicted frames but {len(checked[0])} frames of "
            "ground truth; both need one label for each frame"
        )
    if not len(checked[0]):
        raise UserError(f"{where}: no frames; an evaluation needs at least one")
    for name, values in zip(("ground truth", "prediction"), checked, strict=True):
        low, high = values.min(), values.max()
        if low < 0 or high >= num_classes:
            raise UserError(
                f"{where}: {name} holds class {low if low < 0 else high}, "
                f"but the {num_classes} classes are 0..{num_classes - 1}"
            )
    return checked[0], checked[1]


def check_scores(score: np.ndarray, where: str = "scores") -> np.ndarray:
    """Returns [n, C] float64 scores without NaN or infinity, or says where the first one is."""
    score = np.asarray(score, dtype=np.float64)
    if score.ndim != 2:
        raise UserError(f"{where}: shape {score.shape}; scores are [frames, classes]")
    finite = np.isfinite(score)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise UserError(
            f"{where}: {np.count_nonzero(~finite)} scores are NaN or infinite, the first at row "
            f"{row}, class {column}; every score must be a finite number"
        )
    return score


def sampling_rate(seconds: np.ndarray, where: str = "video") -> float:
    """Frames a second of ascending time stamps, from their median step; NaN for one frame.

    Raises UserError where time stamps repeat or run backwards.
    """
    steps = np.diff(np.asarray(seconds, dtype=np.float64))
    if not len(steps):
        return float("nan")
    if steps.min() <= 0:
        index = int(np.argmin(steps)) + 1
        raise UserError(
            f"{where}: time stamp {index} ({seconds[index]:g} s) does not come after the one "
            f"before it ({seconds[index - 1]:g} s); frames must ascend without repeats"
        )
    return 1.0 / float(np.median(steps))


def check_fps(seconds: np.ndarray, fps: float, where: str = "video") -> None:
    """Raises UserError unless the time stamps are `fps` to the second (within 5 %)."""
    if not (np.isfinite(fps) and fps > 0):
        raise UserError(f"{where}: fps is {fps}; it must be a positive number")
    measured = sampling_rate(seconds, where)
    if np.isfinite(measured) and abs(measured / fps - 1) > 0.05:
        raise UserError(
            f"{where}: fps {fps:g} was given, but the time stamps are {1 / measured:g} s apart, "
            f"which is {measured:g} frames a second"
        )


def rows_at_rate(frames: np.ndarray, fps: float, rate: float, where: str = "video") -> np.ndarray:
    """Rows of a video to keep so that `rate` frames a second remain: those on whole ticks.

    Args:
        frames: [n] ascending frame numbers at `fps` (frame / fps = seconds).
        rate: wanted frames a second; the frames must lie at this rate or a whole multiple of it.

    At 25 fps and rate 1 these are the frames 0, 25, 50, ...: the ones that the field's label
    converters keep.
    """
    frames = np.asarray(frames)
    if not (np.isfinite(fps) and fps > 0):
        raise UserError(f"{where}: fps is {fps}; it must be a positive number")
    measured = sampling_rate(frames / fps, where)
    if not np.isfinite(measured) or abs(measured / rate - 1) <= 0.05:
        return np.arange(len(frames))
    if measured < rate:
        raise UserError(
            f"{where}: the frames lie {1 / measured:g} s apart at fps {fps:g}, too sparse for an "
            f"evaluation at {rate:g} frames a second; is fps {fps / measured * rate:g} meant?"
        )
    step = fps / rate
    ticks = np.rint(frames / step)
    rows = np.flatnonzero(np.abs(frames - np.rint(ticks * step)) < 0.5)
    return rows[np.concatenate([[True], np.diff(ticks[rows]) > 0])] if len(rows) else rows
