"""The notebooks of launch/colab run from their first cell to their last, and hold no outputs.

Two in every run of the tests, all where SURGVISTA_ALL_NOTEBOOKS is set (`.ci/notebooks`).
"""

import json
import os

import pytest

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


@pytest.mark.parametrize("name", DAILY)
def test_a_notebook_runs_to_its_end(name, tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("SURGVISTA_NOTEBOOKS", "tiny")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("JAX_NUM_CPU_DEVICES", "1")
    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    nbformat.validate(notebook)
    # A command that fails ends no cell.
    check = nbformat.v4.new_code_cell("assert not globals().get('_exit_code'), 'a command failed'")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    notebook.cells = [part for cell in code for part in (cell, check)]
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    kind, text = SHOWN[name]
    shown = [
        output.data[kind]
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if kind in output.get("data", {})
    ]
    assert shown and text in shown[-1]
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}_notebook"]
