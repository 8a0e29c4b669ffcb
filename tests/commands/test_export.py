"""Is an exported model the same model, for a program that has never heard of this one?"""

import json
import subprocess
import sys

import numpy as np
import pytest

import surgvista_jax
from surgvista_jax.__main__ import main
from tests.support.described_weights import CLASSES, write_described
from tests.support.documentation import blocks, read

VIDEO = np.random.default_rng(1).integers(0, 256, (3, 4, 8, 8, 3), np.uint8)
# What follows an example of the page: it is asked about other clips, in another number.
ASK = """
import sys
video = np.load("video.npy")
{run}
np.savez("found.npz", features=features, probabilities=probabilities)
assert not [name for name in sys.modules if name.startswith("surgvista")]
"""
RUNS = {
    "stablehlo": "features, probabilities = run(video)",
    "onnx": 'features, probabilities = session.run(None, {"video": video})',
    "savedmodel": "found = run(video=video)\nfeatures, probabilities = found['features'],"
    " found['probabilities']",
}
NEEDED = {
    "stablehlo": ["flatbuffers"],
    "onnx": ["jax2onnx", "onnxruntime"],
    "savedmodel": ["tensorflow"],
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return write_described(
        "surgvista_finetuned", tmp_path_factory.mktemp("export") / "m.safetensors"
    )


def export(weights, out, form) -> int:
    return main(["export", str(weights), f"--format={form}", f"--out={out}"])


@pytest.mark.parametrize("form", NEEDED)
def test_the_pages_example_gets_the_models_own_answers(weights, tmp_path, form, capsys):
    for package in NEEDED[form]:
        pytest.importorskip(package)
    out = tmp_path / f"model.{form}"
    assert export(weights, out, form) == 0
    about = json.loads((tmp_path / f"model.{form}.json").read_text())
    assert about["classes"] == list(CLASSES) and about["input"]["shape"][1:] == [4, 8, 8, 3]
    assert (about["fps"], about["clip"]["stride"]) == (5.0, 2)
    (code,) = [code for code in blocks(read("export.md"), "python") if f"model.{form}" in code]
    np.save(tmp_path / "video.npy", VIDEO)
    command = [sys.executable, "-c", code + ASK.format(run=RUNS[form])]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in CLASSES
    model = surgvista_jax.load(weights, dtype="float32")
    close = {"rtol": 1e-4, "atol": 1e-4} if form == "onnx" else {"rtol": 1e-5, "atol": 1e-5}
    with np.load(tmp_path / "found.npz") as found:
        np.testing.assert_allclose(found["probabilities"], model.probabilities(VIDEO), **close)
        np.testing.assert_allclose(found["features"], model.features(VIDEO), **close)


def test_what_cannot_be_written_is_refused_before_anything_is_read(weights, tmp_path, capsys):
    assert export(weights, tmp_path / "model.bin", "stablehlo") == 1
    assert "a name ending in .stablehlo is needed" in capsys.readouterr().err
    (tmp_path / "model.onnx.json").write_text("mine")
    assert export(tmp_path / "nothing", tmp_path / "model.onnx", "onnx") == 1
    assert "model.onnx.json: is there already" in capsys.readouterr().err
    (tmp_path / "model.savedmodel").mkdir()
    assert export(tmp_path / "nothing", tmp_path / "model.savedmodel", "savedmodel") == 1
    assert "model.savedmodel: is there already, and a folder is never" in capsys.readouterr().err


@pytest.mark.parametrize("form", NEEDED)
def test_a_package_that_is_not_installed_is_named(weights, tmp_path, form, capsys, monkeypatch):
    for package in ("flatbuffers", "jax2onnx", "tensorflow"):
        monkeypatch.setitem(sys.modules, package, None)
    assert export(weights, tmp_path / f"model.{form}", form) == 1
    said = capsys.readouterr().err
    assert "cannot be imported" in said and "pip install" in said and not list(tmp_path.iterdir())


def test_a_file_that_answers_otherwise_is_not_written(weights, tmp_path, capsys, monkeypatch):
    from surgvista_jax.inference import exporting

    monkeypatch.setitem(sys.modules, "flatbuffers", sys.modules["json"])
    monkeypatch.setattr(
        exporting, "run_exported", lambda *given: [np.zeros((2, 32)), np.ones((2, 5))]
    )
    monkeypatch.setitem(exporting.EXPORTERS, "stablehlo", lambda model, path: None)
    assert export(weights, tmp_path / "model.stablehlo", "stablehlo") == 1
    assert "differs from it by" in capsys.readouterr().err and not list(tmp_path.iterdir())
