"""Each kind of run under each name: it comes back whole, or the names that fit are told."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from surgvista_jax.__main__ import main
from surgvista_jax.commands.weights_export import chosen_for, read_checkpoint
from surgvista_jax.errors import UserError
from surgvista_jax.weights import tables
from surgvista_jax.weights.kinds import INSIDE
from surgvista_jax.weights.loading import load
from tests.support import run_folders
from tests.support.pretrain_start import assert_same
from tests.support.weights_command import refused

# Run -> how it is made, and the names that fit: name -> the parts that are left out.
RUNS = {
    "with a teacher": (
        run_folders.pretrained,
        {"surgvista": "", "mvd": "feature_decoder, pixel_decoder"},
    ),
    "without a teacher": (
        lambda folder: run_folders.pretrained(folder, teacher="none"),
        {"surgvista": "", "mvd": "pixel_decoder"},
    ),
    "full": (
        lambda folder: run_folders.finetuned(folder, "full"),
        {"surgvista_finetuned": "", "mvd_finetuned": ""},
    ),
    "lora": (
        lambda folder: run_folders.finetuned(folder, "lora"),
        {"surgvista_finetuned": "", "mvd_finetuned": ""},
    ),
    "linear": (lambda folder: run_folders.finetuned(folder, "linear"), {"mvd": "head"}),
    "attentive": (
        lambda folder: run_folders.finetuned(folder, "attentive"),
        {"mvd": "head, pool"},
    ),
}


@pytest.mark.parametrize("made", RUNS)
def test_a_run_comes_back_bit_for_bit_or_the_names_that_fit_are_told(made, tmp_path, capsys):
    make, fitting = RUNS[made]
    run = tmp_path / "run"
    params = make(run)
    content = read_checkpoint(str(run))[0]
    for name, left_out in fitting.items():
        out = tmp_path / f"{name}.safetensors"
        assert main(["weights", "export", str(run), f"--as={name}", f"--out={out}"]) == 0
        said = capsys.readouterr().out
        assert not left_out or f"left out: {left_out}\n" in said
        assert_same(load(out).params, params[INSIDE[content.kind]] if left_out else params)
    for name in tables.registry().keys() - fitting.keys():
        with pytest.raises(UserError) as caught:
            chosen_for(content, tables.find(name), "RUN")
        line, told = str(caught.value), str(caught.value).partition("names that fit: ")[2]
        assert "\n" not in line
        for other, left_out in fitting.items():
            assert other in told and (f"{left_out} left out" if left_out else "all of it") in told


def test_a_temporal_run_has_no_names_and_is_called_so(tmp_path, capsys):
    run_folders.temporal(tmp_path / "run")
    for name in tables.registry():
        words = [tmp_path / "run", f"--as={name}", f"--out={tmp_path / 'x.safetensors'}"]
        line = refused(capsys, "export", *words)
        assert line.startswith(f"surgvista: {tmp_path / 'run'}: holds a temporal model, an MS-TCN")
        assert "what is read here is a pretraining run or a finetuned backbone" in line


def test_a_students_export_is_imported_and_exported_to_the_same_arrays(tmp_path, capsys):
    """The line of weights.md, there and back."""
    run, first, second = tmp_path / "run", tmp_path / "1.safetensors", tmp_path / "2.safetensors"
    params = run_folders.pretrained(run)
    assert main(["weights", "export", str(run), "--as", "surgvista", "--out", str(first)]) == 0
    assert main(["weights", "import", str(first), "--out", str(tmp_path / "in")]) == 0
    assert_same(load(tmp_path / "in").params, params)
    words = ["export", str(tmp_path / "in"), "--as=surgvista", f"--out={second}"]
    assert main(["weights", *words]) == 0
    assert load_file(first).keys() == load_file(second).keys()
    assert all(np.array_equal(x, load_file(second)[name]) for name, x in load_file(first).items())
