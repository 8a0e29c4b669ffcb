"""Do the how-tos of docs/ work as they are written?

The edits that they ask for are made in a copy of the package, so that nothing of them is left.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from surgvista_jax.predictions.npz import write_npz
from surgvista_jax.tasks.pretraining import losses
from surgvista_jax.weights.loading import load
from tests.support import footage
from tests.support.convert_run import write
from tests.support.described_weights import write_described
from tests.support.documentation import blocks, read
from tests.support.places import ROOT
from tests.support.weight_files import GIVEN, HEADS, write_tiny

DATASET, TASK = read("adding-a-dataset.md"), read("adding-a-task.md")
WEIGHTS, OBJECTIVE = read("adding-weights.md"), read("adding-an-objective.md")
PYTHON = read("python.md")
STRUCTURES = ("liver", "cystic duct", "cystic artery")

# What stands between a dataset folder and training, and what a run asks of its task.
BATCH = """
import sys
from pathlib import Path
import surgvista_jax
from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.crop import AugmentConfig
from surgvista_jax.data.batches.division import SplitConfig, divide
from surgvista_jax.data.batches.labelled import finetune_batches
from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.data.batches.share import Share
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.facts.tasks import TASKS
from surgvista_jax.tasks.outcome import check_protocol
from surgvista_jax.tasks.selection import check_score, score
from surgvista_jax.inference.every_clip import Outputs
import numpy as np

assert Path(surgvista_jax.__file__).is_relative_to(Path.cwd())
dataset = read_dataset(Path(sys.argv[1]))
train = divide(dataset, SplitConfig(), "last").train
clip, share = ClipConfig(num_frames=2, stride=1, size=32), Share(4, np.arange(4), 0, 1)
with finetune_batches(train, clip, AugmentConfig(), LoaderConfig(), share, seed=0) as batches:
    batch = next(batches)
assert batch["video"].shape == (4, 2, 32, 32, 3)
task, classes = TASKS[dataset.task], len(dataset.classes)
check_protocol(task.protocol, dataset)
check_score(task.score, dataset.label_kind, classes)
right = batch["label"] if task.label_kind == "multi" else np.eye(classes)[batch["label"]]
said = Outputs(batch["video_index"], batch["frame"], batch["label"], right, None)
print("selected by", score(task.score, said))
"""


@pytest.fixture
def home(tmp_path):
    """A folder with a copy of the package, in which commands are run."""
    ignore = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "surgvista_jax", tmp_path / "surgvista_jax", ignore=ignore)
    return tmp_path


def python(home: Path, *words: str | Path) -> str:
    """What a program of the copy says; it must succeed."""
    command = [sys.executable, *map(str, words)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(home), *filter(None, sys.path)])}
    done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def surgvista(home: Path, *words: str | Path) -> str:
    return python(home, "-m", "surgvista_jax", *words)


def add_entry(path: Path, entry: str, indent: str, end: str) -> None:
    """Puts an entry at the end of a table."""
    text = path.read_text(encoding="utf-8")
    assert text.count(end) == 1
    entry = textwrap.indent(entry.rstrip() + ",\n", indent)
    path.write_text(text.replace(end, entry + end), encoding="utf-8")


def test_a_dataset_is_one_file(home):
    (code,) = blocks(DATASET, "python")
    write(home / "surgvista_jax" / "data" / "datasets" / "hernia.py", code)
    described = surgvista(home, "data", "list", "hernia")
    assert "case01.mp4" in described and "licence" not in described  # what it does not say
    assert "hernia " in surgvista(home, "data", "list")

    for video in ("case01", "case07", "case10"):
        footage.write_video(home / "in" / "videos" / f"{video}.mp4", 75, size=(64, 48))
        lines = (f"{n}\t{('Dissection', 'mesh placement', 'Closure')[n // 25]}" for n in range(75))
        write(home / "in" / "phases" / f"{video}.txt", "\n".join(lines))
    words = ["--source", home / "in", "--out", home / "out", "--workers", "1", "--json"]
    report = json.loads(surgvista(home, "data", "convert", "hernia", *words))
    assert (report["videos"], report["frames"], report["problems"]) == (3, 9, [])
    lines = [json.loads(n) for n in (home / "out" / "videos.jsonl").read_text().splitlines()]
    assert [line["labels"] for line in lines] == [[0, 1, 2]] * 3
    splits = json.loads((home / "out" / "dataset.json").read_text())["splits"]
    assert splits == {"train": ["case01", "case07"], "test": ["case10"]}
    python(home, "-c", BATCH, home / "out")


@pytest.fixture
def home_with_task(home):
    """The copy, with the line, the file and the protocol that the page gives."""
    entry, scoring, protocol = blocks(TASK, "python")
    package = home / "surgvista_jax"
    add_entry(package / "facts" / "tasks.py", entry, " " * 8, "    )\n}\n")
    write(package / "reports" / "scoring_anatomy.py", scoring)
    add_entry(package / "metrics" / "named_protocols.py", protocol, " " * 4, ")\n\nPROTOCOLS = ")
    return home


def test_a_task_is_converted_and_selected(home_with_task):
    home = home_with_task
    for video in ("a", "b"):
        footage.write_video(home / "in" / f"{video}.mp4", 75, size=(64, 48))
        text = "second,structures\n0,liver\n1,liver;cystic duct\n2,\n"
        write(home / "labels" / f"{video}.csv", text)
    (commands,) = blocks(TASK, "sh")
    words = shlex.split(commands.split("\nsurgvista")[0].replace("\\\n", ""), comments=True)
    places = {"MY_VIDEOS": home / "in", "MY_CSVS": home / "labels", "MY_DATASET": home / "out"}
    places["MY_SPLITS.csv"] = write(home / "splits.csv", "video,split\na,train\nb,test\n")
    surgvista(home, *(places.get(word, word) for word in words[1:]), "--workers", "1")
    lines = [json.loads(n) for n in (home / "out" / "videos.jsonl").read_text().splitlines()]
    assert [line["labels"] for line in lines] == [[[0], [0, 1], []]] * 2
    assert "selected by 1.0" in python(home, "-c", BATCH, home / "out")


def test_a_task_is_evaluated(home_with_task):
    rng = np.random.default_rng(0)
    label = (rng.random((60, 3)) < 0.4).astype(np.uint8)
    label[:, 2] = 0
    score = rng.random((60, 3))
    score[:, 0] = label[:, 0]
    video, frame = np.repeat(["a", "b", "c"], 20), np.tile(np.arange(20), 3)
    path = home_with_task / "predictions.npz"
    meta = {"classes": STRUCTURES, "fps": 1, "task": "anatomy"}
    write_npz(path, video=video, frame=frame, score=score, label=label, meta=meta)

    words = [path, "--protocol=anatomy-visible", "--samples=20", "--json", "--out=report"]
    report = json.loads(surgvista(home_with_task, "evaluate", *words))
    (found,), (table,) = report["scores"], report["tables"]
    first, second, never = table["columns"]["AP"]
    assert first == 1 and 0.2 < second < 1 and never is None
    assert np.isclose(found["value"], (first + second) / 2)
    assert table["columns"]["Frames with it"] == label.sum(0).tolist()
    assert (home_with_task / "report" / "report.html").exists()


@pytest.mark.parametrize("number", range(4))
def test_python_reads_clips_and_videos(number, tmp_path, monkeypatch, capsys):
    """In ten lines each: features of an array, of a file, a probe on them, predictions."""
    if number == 2:
        pytest.importorskip("sklearn")
    monkeypatch.chdir(tmp_path)
    write_described("surgvista", tmp_path / "MY_RUN.safetensors")
    write_described("surgvista_finetuned", tmp_path / "MY_MODEL.safetensors")
    footage.write_video(tmp_path / "VIDEO.mp4", 40)
    shutil.copyfile("VIDEO.mp4", "OTHER.mp4")
    code = re.sub(r'"(MY_\w+(?:/\w+)?)"', r'"\1.safetensors"', blocks(PYTHON, "python")[number])
    assert len(code.split("\n\n", 1)[1].splitlines()) <= 10
    seen: dict = {}
    exec(compile(code, f"python.md, {number}", "exec"), seen)
    said = capsys.readouterr().out
    if number == 0:
        shapes = [seen[name].shape for name in ("features", "tokens", "attention")]
        assert shapes == [(5, 32), (8, 32), (2, 2, 2, 2)] and "4 2 5.0 ()" in said
    elif number == 1:
        assert seen["features"].shape == (8, 32) and "second 1.4: [" in said
    elif number == 2:
        assert seen["probe"].predict(seen["test"]).tolist() == seen["labels"]
    else:
        assert seen["probabilities"].shape == (8, 5) and "0.2 s: " in said and "%)" in said


def test_a_weight_family_is_one_file(home):
    (code,) = blocks(WEIGHTS, "python")
    write(home / "surgvista_jax" / "weights" / "tables" / "hospital.py", code)
    arrays = write_tiny("videomae_finetuned", home / "plain.safetensors")
    named = {f"net.{name.replace('blocks.', 'layers.')}": arrays[name] for name in arrays}
    assert any("layers" in name for name in named)
    save_file(named, home / "model.safetensors")
    inspected, imported = blocks(WEIGHTS, "sh")[0].splitlines()
    assert "hospital" in surgvista(home, *shlex.split(inspected)[1:], GIVEN)
    surgvista(home, *shlex.split(imported)[1:], GIVEN)
    plain = load(f"videomae_finetuned:{home / 'plain.safetensors'}", heads=HEADS).params
    jax.tree.map(np.testing.assert_array_equal, load(home / "HOSPITAL").params, plain)


def test_another_distance_of_features_is_one_line(monkeypatch):
    (code,) = blocks(OBJECTIVE, "python")
    (added,) = eval(f"{{{code}}}", {"jnp": jnp}).items()
    monkeypatch.setitem(losses.FEATURE_LOSSES, *added)
    config = losses.ObjectiveConfig(feature_loss=added[0])
    rng = np.random.default_rng(0)
    said, told = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    expected = np.mean(np.sqrt((said - told) ** 2 + 1) - 1)
    np.testing.assert_allclose(losses.feature_loss(said, told, config), expected, rtol=1e-6)
    assert f"feature_loss={added[0]}" in OBJECTIVE
