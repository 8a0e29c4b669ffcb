"""`surgvista weights inspect`, `import` and `export`: what they say, write, and refuse to write."""

import json
import re

import numpy as np
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.commands.weights_export import select
from surgvista_jax.models.backbones import BackboneConfig
from surgvista_jax.weights import folder, tables
from surgvista_jax.weights.files.read import open_file
from surgvista_jax.weights.loading import load
from tests.support.documentation import read
from tests.support.weight_files import GIVEN, random_arrays, tiny_config, write, write_tiny
from tests.support.weights_command import refused

TABLES = tables.registry()
ROUND_TRIPS = ("surgvista", "surgvista_finetuned", "videomae_hf", "endossl", "vit", "endovit")


def test_inspect_says_what_fits_how_it_was_found_and_where_each_name_goes(tmp_path, capsys):
    path = tmp_path / "x.safetensors"
    arrays = write_tiny("surgvista", path, prefix="module.")
    assert main(["weights", "inspect", str(path), GIVEN]) == 0
    said = capsys.readouterr().out
    numbers = sum(array.size for array in arrays.values())
    assert f"{len(arrays)} arrays, {numbers:,} numbers (float32)" in said
    assert "prefix 'module.' stripped" in said and TABLES["surgvista"].licence in said
    assert "width 32, depth 3, 2 heads" in said and "separable positions" in said
    assert "blocks.0" not in said

    assert main(["weights", "inspect", str(path), GIVEN, "--names", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    with open_file(path) as source:
        assert found["sha256"] == source.digest
    assert [fact["name"] for fact in found["fits"]] == ["surgvista", "mvd"]
    assert found["fits"][1]["left_out"] and not found["nearest"]
    assert found["names"].keys() == {f"module.{name}" for name in arrays}
    one = found["names"]["module.blocks.2.mlp.fc1.weight"]
    assert one["ours"] == "encoder/transformer/blocks/mlp/up/kernel[2]"
    assert one["shape"] == [64, 32]


def test_inspect_of_what_nothing_fits_tells_the_nearest(tmp_path, capsys):
    path = tmp_path / "x.npz"
    arrays = random_arrays(TABLES["surgvista"].entries(tiny_config(TABLES["surgvista"])))
    arrays["blocks.1.norm1.oops"] = arrays.pop("blocks.1.norm1.weight")
    write(path, arrays)
    assert main(["weights", "inspect", f"surgvista:{path}"]) == 0
    said = capsys.readouterr().out
    assert "no table fits; the nearest" in said and "1 missing, 1 unexpected" in said
    assert "heads unknown of encoder" in said


def test_inspect_shows_unknown_heads_without_hiding_what_fits(tmp_path, capsys):
    write_tiny("vit", tmp_path / "x.npz")
    assert main(["weights", "inspect", str(tmp_path / "x.npz"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {"vit", "mae", "endovit"} <= {fact["name"] for fact in found["fits"]}
    assert all("heads unknown of encoder" in fact["model"] for fact in found["fits"])


@pytest.mark.parametrize("name", ROUND_TRIPS)
def test_export_after_import_is_the_file_again_bit_for_bit(name, tmp_path, capsys):
    arrays = write_tiny(name, tmp_path / "theirs.npz")
    out = tmp_path / "ours"
    words = ["weights", "import", f"{name}:{tmp_path / 'theirs.npz'}", GIVEN, f"--out={out}"]
    assert main(words) == 0
    said = capsys.readouterr().out
    with open_file(tmp_path / "theirs.npz") as source:
        assert f"{len(arrays)} matched, 0 missing, 0 unexpected" in said
        assert source.digest in said
    loaded = load(out)  # the heads are in the folder
    assert loaded.kind == TABLES[name].kind

    for suffix in (".safetensors", ".npz"):
        again = tmp_path / f"again{suffix}"
        assert main(["weights", "export", str(out), f"--as={name}", f"--out={again}"]) == 0
        with open_file(again) as source:
            assert source.arrays.keys() == arrays.keys()
            for key, array in arrays.items():
                assert source.arrays[key].read().tobytes() == array.tobytes(), key
            assert source.digest in capsys.readouterr().out
        assert (tmp_path / f"again{suffix}.md").read_text().startswith(f"# again{suffix}")
    assert again.stat().st_mode & 0o044 == (tmp_path / "again.npz.md").stat().st_mode & 0o044


def test_a_pth_is_read_and_written(tmp_path, capsys):
    torch = pytest.importorskip("torch")
    arrays = write_tiny("surgvista_finetuned", tmp_path / "theirs.pth")
    spec = f"surgvista_finetuned:{tmp_path / 'theirs.pth'}"
    assert main(["weights", "inspect", spec, GIVEN]) == 0
    assert "found under model" in capsys.readouterr().out
    assert main(["weights", "import", spec, GIVEN, f"--out={tmp_path / 'ours'}"]) == 0
    out = tmp_path / "again.pth"
    words = ["--as=surgvista_finetuned", f"--out={out}"]
    assert main(["weights", "export", str(tmp_path / "ours"), *words]) == 0
    state = torch.load(out, weights_only=True)
    assert state.keys() == arrays.keys()
    assert all(np.array_equal(state[key].numpy(), array) for key, array in arrays.items())


def test_an_encoder_goes_out_alone_and_what_is_left_out_is_said(tmp_path, capsys):
    arrays = write_tiny("surgvista", tmp_path / "x.npz")
    assert (
        main(["weights", "import", str(tmp_path / "x.npz"), GIVEN, f"--out={tmp_path / 'f'}"]) == 0
    )
    out = tmp_path / "encoder.npz"
    assert main(["weights", "export", str(tmp_path / "f"), "--as=mvd", f"--out={out}"]) == 0
    assert "left out: feature_decoder, pixel_decoder" in capsys.readouterr().out
    with open_file(out) as source:
        assert source.arrays.keys() == {k for k in arrays if "_img" not in k and "_vid" not in k}
    assert (
        "Not in the file: feature_decoder, pixel_decoder"
        in (tmp_path / "encoder.npz.md").read_text()
    )


def test_of_a_finetuned_cnn_the_head_is_said_to_be_left_out():
    content = folder.Content(
        "cnn", BackboneConfig("resnet50"), {}, {}, {"left_out": ["head", "norm"]}
    )
    assert select(content, TABLES["resnet50"], "run")[1] == ("head", "norm")


@pytest.fixture
def imported(tmp_path, capsys):
    """A folder with a finetuned model whose positions are separable, and one with an image ViT."""
    for name in ("surgvista_finetuned", "vit"):
        write_tiny(name, tmp_path / "x.npz")
        spec = f"{name}:{tmp_path / 'x.npz'}"
        assert main(["weights", "import", spec, GIVEN, f"--out={tmp_path / name}"]) == 0
    (tmp_path / "x.npz").unlink()
    capsys.readouterr()
    return tmp_path


REFUSED = {
    "another form": ("surgvista_finetuned", "--as=vit_hf --out=o.npz", "it would be lost"),
    "no such kind": ("vit", "--as=surgvista --out=o.npz", "is of kind student"),
    "other positions": (
        "surgvista_finetuned",
        "--as=videomae_finetuned --out=o.npz",
        "positions=flat instead of separable|flat positions, not",
    ),
    "other pixels": ("vit", "--as=endovit --out=o.npz", "normalises pixels in another way"),
    "no such table": ("vit", "--as=nothing --out=o.npz", "no such table"),
    "another suffix": ("vit", "--as=vit --out=o.h5", "written as .safetensors"),
    "no report": ("vit", "--as=vit --out=o.npz --metrics=none.json", "no such file"),
    "another report": ("vit", "--as=vit --out=o.npz --metrics=vit/weights.json", "report.json"),
    "no checkpoint": ("nowhere", "--as=vit --out=o.npz", "no such folder or file"),
    "no folder of ours": (".", "--as=vit --out=o.npz", "says which model this is"),
    "no folder to write to": ("vit", "--as=vit --out=vit/weights.json/o.npz", "cannot be written"),
}


@pytest.mark.parametrize(("checkpoint", "words", "said"), REFUSED.values(), ids=REFUSED)
def test_an_export_that_would_mislead_is_refused_and_nothing_is_written(
    checkpoint, words, said, imported, capsys, monkeypatch
):
    monkeypatch.chdir(imported)
    before = sorted(imported.rglob("*"))
    line = refused(capsys, "export", checkpoint, *words.split())
    assert any(part in line for part in said.split("|")), line
    assert sorted(imported.rglob("*")) == before


def test_a_failed_export_leaves_what_was_there(imported, monkeypatch, capsys):
    from surgvista_jax.commands import weights_export

    monkeypatch.chdir(imported)
    assert main(["weights", "export", "vit", "--as=vit", "--out=o.npz"]) == 0
    before = {path.name: path.read_bytes() for path in imported.glob("o.npz*")}
    assert sorted(before) == ["o.npz", "o.npz.md"]

    def full(about):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(weights_export, "card", full)
    capsys.readouterr()
    assert "No space left" in refused(capsys, "export", "vit", "--as=vit", "--out=o.npz")
    assert {path.name: path.read_bytes() for path in imported.glob("*o*.npz*")} == before


IMPORTS = {
    "no file": ("none.npz --out=o", "no such file"),
    "two names": ("vit:x.npz --as=mae --out=o", "names another table"),
    "no such name": ("x.npz --as=nothing --out=o", "no such table"),
    "no heads": ("x.npz --out=o", "attention heads of its encoder"),
    "not heads": ("x.npz --heads=two --out=o", "--heads=two: a number"),
    "heads of nothing": ("x.npz --heads=teacher=2 --out=o", "PART being one of"),
    "a folder in the way": ("x.npz --heads=2 --out=taken", "exists already"),
    "an empty folder": ("taken --out=o", "holds no file of weights"),
    "another family": ("x.npz --as=endossl --heads=2 --out=o", "does not hold EndoSSL"),
    "a missing name": ("missing.npz --heads=2 --out=o", "'blocks.0.mlp.fc1.bias' missing"),
}


@pytest.mark.parametrize(("words", "said"), IMPORTS.values(), ids=IMPORTS)
def test_a_failed_import_is_one_line_and_writes_nothing(words, said, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken").mkdir()
    arrays = write_tiny("vit", tmp_path / "x.npz")
    del arrays["blocks.0.mlp.fc1.bias"]
    write(tmp_path / "missing.npz", arrays)
    before = sorted(tmp_path.rglob("*"))
    assert said in refused(capsys, "import", *words.split())
    assert sorted(tmp_path.rglob("*")) == before


def test_the_page_lists_every_table_once():
    text = read("weight-names.md")
    table = text.split("| names | what they are |")[1].split("\n\n")[0]
    names = [name for row in table.splitlines() for name in re.findall("`(.*?)`", row)]
    assert sorted(names) == sorted(TABLES)
