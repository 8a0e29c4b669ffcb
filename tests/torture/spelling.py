"""Do files that say the same in other words mean the same?"""

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np

from surgvista_jax.data import datasets
from tests.torture.official import FILES, make_source
from tests.torture.process import Broken, in_child
from tests.torture.promises import Try, check_told, promise

_HEADER = ["video", "frame", "label", "score_0", "score_1", "score_2"]


@promise(1)
def predictions(t: Try) -> None:
    """Predictions score the same however their cells are written: blanks, quotes, line ends,
    order of columns, whole numbers as 2.0; unlabelled frames stay so."""
    with np.load(t.material.output("finetune") / "predictions.npz") as file:
        video, frame, label, score = (file[key] for key in ("video", "frame", "label", "score"))
        meta = file["meta"]
    label = np.where(t.rng.random(len(label)) < 0.3, -1, label)
    score = np.floor(score * 1024) / 1024  # as text and as float32 the same number
    score[:, -1] = 1 - score[:, :-1].sum(1)  # probabilities still
    plain = [
        [v, f, k, *map(repr, row.tolist())]
        for v, f, k, row in zip(video, frame, label, score, strict=True)
    ]
    path, other = t.folder / "plain.csv", t.folder / "other.csv"
    _write(path, [_HEADER, *plain])
    t.kind = t.one_of(["blanks", "quotes", "line ends", "columns", "2.0", ".npz", ".npz of floats"])
    if t.kind.startswith(".npz"):
        other = t.folder / "other.npz"
        label = label.astype(np.float32) if t.kind.endswith("floats") else label
        np.savez(other, video=video, frame=frame, label=label, score=score, meta=meta)
    elif t.kind == "blanks":
        _write(other, [_HEADER, *([f" {cell} " for cell in row] for row in plain)])
    elif t.kind == "quotes":
        _write(other, [_HEADER, *plain], quoting=csv.QUOTE_ALL)
    elif t.kind == "line ends":
        other.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    elif t.kind == "columns":
        order = [2, 0, 1, 3, 4, 5]
        _write(other, [[row[k] for k in order] for row in [_HEADER, *plain]])
    else:
        _write(other, [_HEADER, *([*row[:2], float(row[2]), *row[3:]] for row in plain)])
    scores = []
    for source in (path, other):
        out = t.folder / source.stem
        shutil.rmtree(out, ignore_errors=True)
        words = ["evaluate", source, "--protocol=phase-strict", "--samples=20", f"--out={out}"]
        words += [] if source.suffix == ".npz" else ["--fps=1", "--first-class=0"]
        if check_told(t.run(*words)) != "success":
            raise Broken(f"{source.name} is refused, which only says it in other words")
        report = json.loads((out / "report.json").read_text())
        scores.append({s["key"]: s["value"] for s in report["scores"]})
    if scores[0] != scores[1]:
        raise Broken(f"{other.name} ({t.kind}) scores otherwise than {path.name}")


@promise(1)
def official(t: Try) -> None:
    """Official label files mean the same with other line ends, a mark of UTF-8, blank lines at
    their end, or none there."""
    name = t.one_of(sorted(FILES))
    ways = {
        "line ends": lambda data: data.replace(b"\n", b"\r\n"),
        "mark": lambda data: b"\xef\xbb\xbf" + data,
        "blank lines": lambda data: data + b"\n\n",
        "no end": lambda data: data.rstrip(b"\n"),
    }
    way = t.one_of(sorted(ways))
    t.kind = f"{name}: {way}"
    paths = make_source(name, t.folder / name, t.material.folder / "videos" / "film0.mp4")
    plain = in_child(_read_official, name, t.folder / name)
    for path in paths:
        if path.suffix != ".pickle":
            path.write_bytes(ways[way](path.read_bytes()))
    if in_child(_read_official, name, t.folder / name) != plain:
        raise Broken(f"{name} is read otherwise with other {way}")


def _read_official(name: str, source: Path) -> dict[str, str]:
    """The labels of each video."""
    recordings = datasets.find(name).read(source).recordings
    return {r.source.video: repr(r.read_labels()) for r in recordings if r.read_labels}


def _write(path, rows, quoting: int = csv.QUOTE_MINIMAL) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=quoting).writerows(rows)
    path.write_text(text.getvalue())
