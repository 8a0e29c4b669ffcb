"""`surgvista bench weights` measures every file in a process of its own."""

import importlib.util
import json

import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.commands.bench_weights import measure, random_files, text
from surgvista_jax.models.layers import TransformerConfig
from surgvista_jax.ownership import sha256_of
from surgvista_jax.weights import tables
from surgvista_jax.weights.loading import digest_of, load
from tests.support.weight_files import random_arrays, tiny_config, write

HEADS = {"encoder": 2}


def test_random_files_hold_the_same_model_in_every_format(tmp_path):
    specs = random_files(tmp_path, TransformerConfig(32, 2, 2, attention_bias="qv"))
    formats = ["safetensors", "npz"]
    if importlib.util.find_spec("torch"):
        formats += ["pth", "pth"]
    assert [spec.rpartition(".")[2] for spec in specs] == formats
    assert len({sha256_of(spec.partition(":")[2]) for spec in specs}) == len(specs)
    assert len({digest_of(load(spec, heads=HEADS).params) for spec in specs}) == 1


@pytest.mark.parametrize("name", ["vit", "mvd", "resnet50"])
def test_what_is_measured_is_told(name, tmp_path):
    table = tables.find(name)
    write(tmp_path / "x.npz", random_arrays(table.entries(tiny_config(table))))
    row = measure(f"{name}:{tmp_path / 'x.npz'}", HEADS, None)
    assert row["seconds"] > 0 and row["mib"] == (tmp_path / "x.npz").stat().st_size / 2**20
    assert row["devices"] == 8
    # A ViT is shared out; a small CNN is whole on every device.
    assert row["largest_share"] == 1 if name == "resnet50" else row["largest_share"] < 0.3
    header, line = text([row | {"peak_mib": None}]).splitlines()
    assert header.split() == "file MiB seconds peak MiB peak/size devices largest share".split()
    assert line.startswith("x.npz") and "not told" in line


def test_the_command_prints_a_row_for_each_file(tmp_path, capfd):
    table = tables.find("mvd")
    path = tmp_path / "x.npz"
    write(path, random_arrays(table.entries(tiny_config(table))))
    words = ["bench", "weights", str(path), "--heads=2", "--devices=2"]
    assert main([*words, "--json"]) == 0
    (row,) = json.loads(capfd.readouterr().out)
    assert row["file"] == "x.npz" and row["devices"] == 2 and row["largest_share"] < 0.7
    if row["peak_mib"] is not None:
        assert row["peak_mib"] > 0
        assert row["peak_over_size"] == pytest.approx(row["peak_mib"] / row["mib"])


def test_mistakes_are_one_line(tmp_path, capsys):
    for words, says in (
        (["none.npz"], "there is no such file"),
        (["--devices=0"], "--devices=0: at least 1"),
        (["--heads=x"], "--heads=x: a number"),
    ):
        assert main(["bench", "weights", *words]) == 1
        assert says in capsys.readouterr().err
