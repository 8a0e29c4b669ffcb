"""How do tests come by an operation of any length, and what a model says of it?"""

import json
from pathlib import Path

import numpy as np

from surgvista_jax.predictions.npz import write_npz

PHASES = ("Preparation", "Dissection", "Clipping", "Packaging", "Closure")
HOSTILE = '<img src=x onerror="window.hurt=1"></script><script>window.hurt=1</script>\U0001fac0'


def labels(seconds: int, classes: int = len(PHASES)) -> np.ndarray:
    """int64 [seconds]: every class once, of lengths that differ."""
    borders = np.cumsum(np.arange(1, classes + 1))
    return np.searchsorted(borders / borders[-1], np.arange(seconds) / seconds, side="right")


def scores(label: np.ndarray, classes: int = len(PHASES), sure: float = 0.9) -> np.ndarray:
    """Probabilities [N, C], float32: the label's is `sure`, the others share what is left."""
    found = np.full((len(label), classes), (1 - sure) / (classes - 1), np.float32)
    found[np.arange(len(label)), label] = sure
    return found


def write_predictions(
    path: Path,
    score: np.ndarray,
    *,
    video: str | list = "case",
    label: np.ndarray | None = None,
    classes: tuple[str, ...] = PHASES,
    fps: float = 1.0,
    **meta: object,
) -> Path:
    """A predictions.npz of one video, or of several with as many moments each."""
    names = [video] if isinstance(video, str) else video
    each = len(score) // len(names)
    about = {"task": "phase", "classes": classes, "fps": fps, "model": "a model", **meta}
    frame = np.tile(np.arange(each), len(names))
    rows = np.repeat(names, each)
    write_npz(path, video=rows, frame=frame, score=score, label=label, meta=about)
    return path


def data_of(html: str) -> dict:
    """The JSON that a page holds."""
    text = html.split('<script type="application/json" id="data">')[1].split("</script>")[0]
    return json.loads(text)
