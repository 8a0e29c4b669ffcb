"""How do tests convert official files and look at what came of it?"""

import contextlib
import io
from pathlib import Path

from surgvista_jax.__main__ import main
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.data.datasets import find
from surgvista_jax.data.storage.manifest import read_dataset


def run(*words) -> tuple[int, str, str]:
    """Exit code, output and messages (without the progress bar) of a command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main([str(word) for word in words])
    lines = err.getvalue().replace("\r", "\n").split("\n")
    return code, out.getvalue(), "\n".join(n for n in lines if n.strip() and "%|" not in n)


def convert(name: str, source: Path, out: Path, *options) -> tuple[Dataset, str]:
    """The converted dataset and what was said about it."""
    code, _, said = run(
        "data", "convert", name, "--source", source, "--out", out, "--workers", 1, *options
    )
    assert code == 0, said
    return read_dataset(out), said


def refusal(name: str, source: Path, out: Path, *options) -> str:
    """The one line with which a conversion is refused."""
    code, _, said = run("data", "convert", name, "--source", source, "--out", out, *options)
    assert code == 1 and said.count("\n") == 0, said
    assert not (out / "dataset.json").exists()
    return said


def tracks(name: str, source: Path) -> dict[str, dict[int, object]]:
    """The labels of each video by the number of a frame, without extracting anything."""
    recordings = find(name).read(source).recordings
    return {r.source.video: dict(r.read_labels().by_number) for r in recordings if r.read_labels}


def labels(dataset: Dataset) -> dict[str, tuple]:
    return {video.video: video.labels for video in dataset.videos}


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path
