"""The notebooks of launch/colab run from their first cell to their last, and hold no outputs.

Two in every run of the tests, all where SURGVISTA_ALL_NOTEBOOKS is set (`.ci/notebooks`).
"""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from surgvista_jax.__main__ import main
from tests.support.footage import write_video
from tests.support.places import ROOT

FOLDER = ROOT / "launch" / "colab"
NOTEBOOKS = ("evaluate", "features", "own_labels", "pretrain")
DAILY = NOTEBOOKS if os.environ.get("SURGVISTA_ALL_NOTEBOOKS") else NOTEBOOKS[:2]
SOURCE = {"cell_type", "id", "metadata", "source"}
# What each shows at its end.
SHOWN = {
    "evaluate": ("text/html", "iframe"),
    "features": ("image/png", ""),
    "own_labels": ("text/html", "iframe"),
    "pretrain": ("image/png", ""),
}


def cells(name):
    return json.loads((FOLDER / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]


def test_there_is_no_other_notebook():
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == list(NOTEBOOKS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_holds_its_cells_and_nothing_else(name):
    text = (FOLDER / f"{name}.ipynb").read_text(encoding="utf-8")
    notebook = json.loads(text)
    assert text == json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
    assert notebook["metadata"].keys() == {"kernelspec", "language_info"}
    for cell in notebook["cells"]:
        code = cell["cell_type"] == "code"
        assert cell.keys() == SOURCE | ({"execution_count", "outputs"} if code else set())
        assert not cell["metadata"]
        assert not code or (cell["outputs"] == [] and cell["execution_count"] is None)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)


def test_notebooks_that_train_install_alike():
    (first, *others) = [
        cell["source"]
        for name in ("features", "own_labels", "pretrain")
        for cell in cells(name)
        if cell["id"] == "install"
    ]
    assert len(others) == 2 and all(other == first for other in others)


def cell(name, called):
    (found,) = ["".join(cell["source"]) for cell in cells(name) if cell["id"] == called]
    return found


@pytest.mark.parametrize("name", DAILY)
def test_a_notebook_runs_to_its_end(name, tmp_path, monkeypatch):
    execute(name, tmp_path, monkeypatch)


@pytest.mark.skipif(DAILY != NOTEBOOKS, reason="of `.ci/notebooks`")
def test_own_videos_and_labels_run_to_the_end_too(tmp_path, monkeypatch):
    own = tmp_path / "own"
    words = ["data", "synthetic", "--task=phase", "--videos=4", "--frames=28", f"--out={own}"]
    assert main(words) == 0
    folders = {"MY_VIDEOS": own / "videos", "MY_LABELS": own / "videos"}
    execute("own_labels", tmp_path / "run", monkeypatch, folders)


def test_of_own_videos_one_that_the_run_tested_is_predicted(tmp_path):
    """By the run's splits; its id may be in a folder, and its labels may lie beside it."""
    for name in ("a.mp4", "day 1/b.MP4", "day 2/b.avi"):
        path = write_video(tmp_path / "mine" / name, num_frames=2)
        path.with_suffix(".csv").write_text("second,label\n0,x\n")
    (tmp_path / "splits.csv").write_text("video,split\na,train\nday 2/b,test\nday 1/b,val\n")
    own = {"MY_VIDEOS": str(tmp_path / "mine"), "MODEL": tmp_path, "DATA": tmp_path / "data"}
    names = {"Path": Path, "NEW_VIDEO": "", **own}
    exec(cell("own_labels", "new-video"), names)
    assert names["NEW_VIDEO"] == tmp_path / "mine" / "day 2" / "b.avi"
    names["NEW_VIDEO"] = "told.mp4"
    exec(cell("own_labels", "new-video"), names)
    assert names["NEW_VIDEO"] == "told.mp4"


def test_a_folder_that_predict_wrote_is_read_like_its_file(tmp_path, capsys):
    meta = json.dumps({"task": "phase", "fps": 1, "classes": ["x", "y"]})
    table = {"video": ["a"] * 4, "frame": range(4), "label": [0, 0, 1, 1], "meta": meta}
    for file in (tmp_path / "alone.npz", tmp_path / "written" / "predictions.npz"):
        file.parent.mkdir(exist_ok=True)
        np.savez(file, score=np.eye(2)[[0, 0, 1, 0]], **table)
    names = {"Path": Path, "np": np, "MINE": tmp_path / "written", "OTHER": f"{tmp_path}/alone.npz"}
    exec(cell("evaluate", "api"), names)
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("written: accuracy 75.0%")
    assert first.split(":")[1] == second.split(":")[1]


def execute(name, folder, monkeypatch, settings=None):
    """Runs a notebook in a folder, which may be missing; settings: name -> instead of ""."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("SURGVISTA_NOTEBOOKS", "tiny")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "1")
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    (cell,) = [cell for cell in notebook.cells if cell["id"] == "settings"]
    for key, value in (settings or {}).items():
        assert f'{key} = ""' in cell.source
        cell.source = cell.source.replace(f'{key} = ""', f'{key} = "{value}"')
    folder.mkdir(exist_ok=True)
    # A command that fails ends no cell.
    check = nbformat.v4.new_code_cell("assert not globals().get('_exit_code'), 'a command failed'")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    notebook.cells = [part for cell in code for part in (cell, check)]
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}}
    ).execute()
    kind, text = SHOWN[name]
    shown = [
        output.data[kind]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if kind in output.get("data", {})
    ]
    assert shown and text in shown[-1]
    assert [path.name for path in folder.iterdir()] == [f"{name}_notebook"]
