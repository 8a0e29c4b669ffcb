"""An export is a file and its card, both or neither; its card's lines fill a model of PyTorch's."""

import re
from pathlib import Path

import numpy as np
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.errors import UserError
from surgvista_jax.weights import tables
from surgvista_jax.weights.files.read import open_file
from surgvista_jax.weights.files.write import TENSORS_ALONE, save
from tests.support.weight_files import GIVEN, write_tiny
from tests.support.weights_command import refused


def test_a_folder_at_the_cards_place_is_left_alone_and_nothing_is_written(tmp_path, capsys):
    write_tiny("vit", tmp_path / "x.npz")
    (tmp_path / "o.npz.md").mkdir()
    (tmp_path / "o.npz").write_text("before")
    words = [f"vit:{tmp_path / 'x.npz'}", GIVEN, "--as=vit", f"--out={tmp_path / 'o.npz'}"]
    assert "Is a directory" in refused(capsys, "export", *words)
    assert (tmp_path / "o.npz").read_text() == "before" and (tmp_path / "o.npz.md").is_dir()
    assert len(list(tmp_path.iterdir())) == 3


def test_heads_are_asked_for_of_a_file_and_refused_of_a_folder(tmp_path, capsys):
    arrays = write_tiny("vit", tmp_path / "x.npz")
    out = tmp_path / "o.safetensors"
    words = [f"vit:{tmp_path / 'x.npz'}", "--as=vit", f"--out={out}"]
    assert "attention heads of its encoder" in refused(capsys, "export", *words)
    assert main(["weights", "export", *words, "--heads=2"]) == 0
    with open_file(out) as source:
        assert source.arrays.keys() == arrays.keys()
    folder = tmp_path / "imported"
    assert main(["weights", "import", words[0], "--heads=2", f"--out={folder}"]) == 0
    capsys.readouterr()
    line = refused(capsys, "export", str(folder), "--as=vit", f"--out={out}", "--heads=2")
    assert "a folder, which says its heads itself" in line


@pytest.mark.parametrize("suffix", [".tar", ".pkl", ".torch", ".h5", ""])
def test_a_file_is_only_written_under_a_name_that_says_what_it_is(suffix, tmp_path, capsys):
    write_tiny("vit", tmp_path / "x.npz")
    out = tmp_path / f"o{suffix}"
    words = [f"vit:{tmp_path / 'x.npz'}", GIVEN, "--as=vit", f"--out={out}"]
    line = refused(capsys, "export", *words)
    assert f"{out}: weights are written as .safetensors, .npz, .pth, .pt, .bin" in line
    with pytest.raises(UserError, match="weights are written as"):
        save({}, tables.find("vit"), None, out)
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pth", ".pt", ".bin"])
def test_an_export_without_metadata_says_so(suffix, tmp_path, capsys):
    if suffix in TENSORS_ALONE:
        pytest.importorskip("torch")
    write_tiny("vit", tmp_path / "x.npz")
    out = tmp_path / f"o{suffix}"
    words = [f"vit:{tmp_path / 'x.npz'}", "--heads=2", "--as=vit", f"--out={out}"]
    assert main(["weights", "export", *words]) == 0
    said = f"{suffix} cannot hold classes, clip, heads and sources; .safetensors can"
    assert (said in capsys.readouterr().out.splitlines()) == (suffix in TENSORS_ALONE)
    with open_file(out) as source:
        assert bool(source.metadata) != (suffix in TENSORS_ALONE)


# Exported as -> what a model of PyTorch's has besides, and what it may not lack.
MODELS = {
    "mvd": (("decoder_img.blocks.0.norm1.weight", "mask_token_vid", "pos_embed"), "norm.weight"),
    "vit": (("head.weight", "decoder_pos_embed"), "cls_token"),
    "videomae2": (("head.bias", "fc_norm.weight", "pos_embed"), "blocks.0.norm1.weight"),
    "umt": (("clip_decoder.0.head.weight", "encoder.pos_embed"), "encoder.norm.weight"),
}


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pth"])
@pytest.mark.parametrize("name", MODELS)
def test_what_a_card_says_fills_a_model_that_has_more_parts(name, suffix, tmp_path, monkeypatch):
    torch = pytest.importorskip("torch")
    arrays = write_tiny(name, tmp_path / "x.npz")
    monkeypatch.chdir(tmp_path)
    out = f"o{suffix}"
    words = ["export", f"{name}:x.npz", GIVEN.partition(",")[0], f"--as={name}", f"--out={out}"]
    assert main(["weights", *words]) == 0
    lines = re.findall("```python\n(.*?)```", (tmp_path / f"{out}.md").read_text(), re.DOTALL)[1]
    besides, needed = MODELS[name]

    class Model:
        def __init__(self, names):
            self.state = dict.fromkeys(names)

        def load_state_dict(self, state, strict=True):
            missing = [key for key in self.state if key not in state]
            unexpected = [key for key in state if key not in self.state]
            assert not (strict and (missing or unexpected))
            self.state |= state
            return torch.nn.modules.module._IncompatibleKeys(missing, unexpected)

    model = Model([*arrays, *besides])
    exec(lines, {"model": model})  # what a reader would paste
    for key, array in arrays.items():
        np.testing.assert_array_equal(model.state[key], array)
    with pytest.raises(AssertionError, match="unnamed"):
        exec(lines, {"model": Model([*arrays, "unnamed.weight"])})
    with pytest.raises(AssertionError, match=re.escape(needed)):
        exec(lines, {"model": Model(set(arrays) - {needed})})


def test_a_full_disk_is_told_of_an_import(tmp_path, capsys):
    resource = pytest.importorskip("resource")
    write_tiny("vit", tmp_path / "x.npz")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))  # less than the arrays need
    try:
        words = [f"vit:{tmp_path / 'x.npz'}", GIVEN, f"--out={tmp_path / 'out'}"]
        line = refused(capsys, "import", *words)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert f"{tmp_path / 'out'}: cannot be written" in line and "File too large" in line
    assert [path.name for path in tmp_path.iterdir()] == ["x.npz"]


@pytest.mark.parametrize("suffix", [".safetensors", ".npz", ".pth"])
def test_a_full_disk_is_told_of_an_export_and_leaves_what_was_there(suffix, tmp_path, capsys):
    resource = pytest.importorskip("resource")
    if suffix == ".pth":
        pytest.importorskip("torch")
    write_tiny("vit", tmp_path / "x.npz")
    out = tmp_path / f"o{suffix}"
    out.write_text("before")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, hard))  # less than the arrays need
    try:
        words = [f"vit:{tmp_path / 'x.npz'}", "--heads=2", "--as=vit", f"--out={out}"]
        words.append("--overwrite")
        line = refused(capsys, "export", *words)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert f"{out}, {out}.md: cannot be written (" in line and "File too large" in line
    assert out.read_text() == "before"
    assert sorted(path.name for path in tmp_path.iterdir()) == [out.name, "x.npz"]


def test_a_student_that_learned_from_pixels_alone_goes_out_and_comes_back(tmp_path, capsys):
    """As weights.md does it; the card says which names a model of PyTorch's has besides."""
    arrays = write_tiny("surgvista", tmp_path / "x.npz")
    alone = {name: array for name, array in arrays.items() if "_img" not in name}
    np.savez(tmp_path / "alone.npz", **alone)
    assert (
        main(["weights", "import", str(tmp_path / "alone.npz"), GIVEN, f"--out={tmp_path / 'f'}"])
        == 0
    )
    out = tmp_path / "o.safetensors"
    assert main(["weights", "export", str(tmp_path / "f"), "--as=surgvista", f"--out={out}"]) == 0
    with open_file(out) as source:
        assert source.arrays.keys() == alone.keys()
        np.testing.assert_array_equal(source.take("down_vid.bias"), alone["down_vid.bias"])
    pattern = re.search('absent = r"(.*)"', Path(f"{out}.md").read_text())[1]
    assert all(re.fullmatch(pattern, name) for name in arrays.keys() - alone.keys())
    assert not any(re.fullmatch(pattern, name) for name in alone)


def test_what_another_program_computes_otherwise_is_a_warning(tmp_path, capsys):
    write_tiny("vit_hf", tmp_path / "x.npz")
    words = ["export", f"vit_hf:{tmp_path / 'x.npz'}", "--heads=2", f"--out={tmp_path / 'o.npz'}"]
    assert main(["weights", *words, "--as=vit_hf"]) == 0
    assert "WARNING" not in capsys.readouterr().out
    assert main(["weights", *words, "--as=vit", "--overwrite"]) == 0
    said = capsys.readouterr().out
    assert "of its encoder is 1e-12, and " in said and "(vit) computes with 1e-6\n" in said
    assert "interpolates learned positions in another way (antialias, not bicubic)" in said


def test_where_a_name_does_not_fit_those_that_do_are_named_with_what_they_leave_out(
    tmp_path, capsys
):
    arrays = write_tiny("surgvista", tmp_path / "x.npz")
    np.savez(tmp_path / "alone.npz", **{k: v for k, v in arrays.items() if "_img" not in k})
    for name, out in (("x", "pixel_decoder, feature_decoder"), ("alone", "pixel_decoder")):
        words = [f"{tmp_path / name}.npz", GIVEN, "--as=videomae", f"--out={tmp_path / 'o.npz'}"]
        line = refused(capsys, "export", *words)
        assert line.endswith(f"; names that fit: surgvista (all of it); mvd ({out} left out)")
    line = refused(capsys, "export", *words[:2], "--as=vit", words[3])
    assert "names that fit: surgvista (all of it)" in line
