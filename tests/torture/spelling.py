"""Do files that say the same in other words mean the same?"""

import csv
import io
import json
import shutil

import numpy as np

from tests.torture.process import Broken
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
    score = score.round(3)
    score[:, -1] = 1 - score[:, :-1].sum(1)  # probabilities still
    plain = [
        [v, f, k, *(f"{p:.3f}" for p in row)]
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
        scores.append({s["key"]: s["value"] and round(s["value"], 6) for s in report["scores"]})
    if scores[0] != scores[1]:
        raise Broken(f"{other.name} ({t.kind}) scores otherwise than {path.name}")


def _write(path, rows, quoting: int = csv.QUOTE_MINIMAL) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=quoting).writerows(rows)
    path.write_text(text.getvalue())
