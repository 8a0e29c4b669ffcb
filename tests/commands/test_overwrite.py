"""Does each command leave alone what it has not written, and replace what it has?"""

import json
import os

import numpy as np
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.ownership import RECORD
from surgvista_jax.predictions.npz import write_npz
from tests.commands.test_data_check import make
from tests.support.finetune_run import make_config, make_dataset
from tests.support.weight_files import GIVEN, write_tiny

EVALUATE = ["evaluate", "nothing.npz", "--protocol=phase-strict", "--out=."]
EXPORT = ["weights", "export", "nothing.npz", "--as=vit", "--out=w.npz"]
CASES = {
    "report.html": EVALUATE,
    "report.md": EVALUATE,
    "report.json": EVALUATE,
    "check.html": ["data", "check", "nothing", "--html=check.html"],
    "w.npz": EXPORT,
    "w.npz.md": EXPORT,
    "figure.png": ["figure", "reconstruction", "--checkpoint=nothing", "--out=figure.png"],
    "predictions.npz": ["predict", "nothing.mp4", "--checkpoint=nothing", "--out=."],
}


def refused(capsys, *words):
    """The one line of a command that fails."""
    assert main([str(word) for word in words]) == 1
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("surgvista: ") and err.count("\n") == 1
    return err


@pytest.mark.parametrize(("name", "words"), CASES.items(), ids=CASES)
@pytest.mark.parametrize("linked", [False, True])
def test_what_is_in_the_way_is_named_before_anything_is_read(
    name, words, linked, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "elsewhere" if linked else tmp_path / name
    path.write_text("theirs")
    if linked:
        (tmp_path / name).symlink_to(path)
    said = refused(capsys, *words)
    assert f"{name}: is there already" in said and "--overwrite" in said
    assert path.read_text() == "theirs" and len(os.listdir(tmp_path)) == 1 + linked
    assert "nothing" in refused(capsys, *words, "--overwrite")
    assert path.read_text() == "theirs"


def edited_is_refused(capsys, path, words):
    """An edit of what was written stays until it is told otherwise."""
    capsys.readouterr()
    before = path.read_bytes()
    path.write_bytes(before + b"mine")
    said = refused(capsys, *words)
    assert f"{path.name}: is there already" in said
    assert path.read_bytes() == before + b"mine"
    assert main([*words, "--overwrite"]) == 0
    assert len(path.read_bytes()) == len(before)


def predictions(path):
    video, frame = np.repeat(["v1", "v2"], 10), np.tile(np.arange(10), 2)
    meta = {"classes": ["a", "b"], "fps": 1}
    score = np.tile([0.4, 0.6], (20, 1))
    write_npz(path, video=video, frame=frame, score=score, label=frame % 2, meta=meta)


def test_a_report_is_written_again_unless_it_was_edited(tmp_path, capsys):
    predictions(tmp_path / "p.npz")
    out = tmp_path / "out"
    words = ["evaluate", str(tmp_path / "p.npz"), "--protocol=phase-strict", "--samples=5"]
    words.append(f"--out={out}")
    for _ in range(2):
        assert main(words) == 0
    edited_is_refused(capsys, out / "report.md", words)
    # Of a version that kept no record: known where it is what would be written again.
    (out / RECORD).unlink()
    assert main(words) == 0
    (out / RECORD).unlink()
    (out / "notes.txt").write_text("theirs")
    capsys.readouterr()
    edited_is_refused(capsys, out / "report.html", words)
    (out / RECORD).unlink()
    capsys.readouterr()
    (out / "report.json").write_text(json.dumps({"made_by": "surgvista_jax 0", "scores": 1}))
    assert "report.html: is there" in refused(capsys, *words)
    assert (out / "notes.txt").read_text() == "theirs"


def test_a_page_of_a_check_is_written_again_unless_it_was_edited(tmp_path, capsys):
    make(tmp_path / "data", {"a": [0, 1], "b": [1, 0]}, {"train": ("a", "b")})
    page = tmp_path / "page.html"
    words = ["data", "check", str(tmp_path / "data"), f"--html={page}"]
    for _ in range(2):
        assert main(words) == 0
    edited_is_refused(capsys, page, words)
    (tmp_path / RECORD).unlink()  # of a version that kept none
    assert main(words) == 0


def test_weights_and_their_card_are_written_again_unless_one_was_edited(tmp_path, capsys):
    write_tiny("vit", tmp_path / "x.npz")
    out = tmp_path / "o.safetensors"
    words = ["weights", "export", f"vit:{tmp_path / 'x.npz'}", GIVEN, "--as=vit", f"--out={out}"]
    for _ in range(2):
        assert main(words) == 0
    edited_is_refused(capsys, tmp_path / "o.safetensors.md", words)
    (tmp_path / RECORD).unlink()
    capsys.readouterr()
    # A card that a version without a record wrote may have been edited: nothing tells.
    assert "o.safetensors: is there" in refused(capsys, *words)


def test_a_finetuning_names_what_is_in_its_way_before_it_trains(tmp_path, capsys):
    config = make_config(tmp_path / "config.py", make_dataset(tmp_path / "data"))
    for name, more in (
        ("predictions.npz", []),
        ("report/report.md", []),
        ("result.json", ["--config.seeds=2"]),
        ("features/train.npz", ["--config.mode=linear"]),
    ):
        work = tmp_path / name.replace("/", "_")
        path = work / name
        path.parent.mkdir(parents=True)
        path.write_text("theirs")
        capsys.readouterr()
        assert main(["finetune", f"--config={config}", f"--workdir={work}", *more]) == 1
        said = capsys.readouterr().err.splitlines()[-1]
        assert f"{path}: is there already" in said and "--overwrite" in said
        assert path.read_text() == "theirs" and not list(work.rglob("metrics.jsonl"))
