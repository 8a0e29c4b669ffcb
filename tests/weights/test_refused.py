"""A file that is not what it should be: `weights import` says so in one line and writes nothing."""

import json
import math
import pickle
import re

import numpy as np
import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.models.layers import TransformerConfig
from surgvista_jax.models.video_vit import SIZES, EncoderConfig
from surgvista_jax.weights import tables
from tests.support.weight_files import random_arrays, tiny_config, write

MVD = tables.find("mvd")
HEADS = "--heads=2"


def _arrays() -> dict[str, np.ndarray]:
    return random_arrays(MVD.entries(tiny_config(MVD)))


def renamed(folder):
    arrays = _arrays()
    arrays["blocks.1.mlp.fc1.kernel"] = arrays.pop("blocks.1.mlp.fc1.weight")
    write(folder / "x.safetensors", arrays)


def transposed(folder):
    arrays = _arrays()
    name = "blocks.1.mlp.fc1.weight"
    write(folder / "x.safetensors", arrays | {name: np.ascontiguousarray(arrays[name].T)})


def truncated(folder):
    write(folder / "x.safetensors", _arrays())
    data = (folder / "x.safetensors").read_bytes()
    (folder / "x.safetensors").write_bytes(data[:-100])


def truncated_archive(folder):
    write(folder / "x.npz", _arrays())
    data = (folder / "x.npz").read_bytes()
    (folder / "x.npz").write_bytes(data[: len(data) // 2])


class _Code:
    def __reduce__(self):
        return (print, ("executed",))


def pickle_with_code(folder):
    pytest.importorskip("torch")
    (folder / "x.pth").write_bytes(pickle.dumps({"model": _Code()}))


def zip_with_code(folder):
    torch = pytest.importorskip("torch")
    torch.save({"model": {"a": torch.zeros(2)}, "args": _Code()}, folder / "x.pth")


def vit_l(folder):
    """All zeros, of which the disk holds nothing; bytes, for shapes decide before a number does."""
    config = EncoderConfig(TransformerConfig(**SIZES["large"], attention_bias="qv"))
    header, end = {}, 0
    for entry in MVD.entries(config):
        for name, shape in entry.expected.items():
            size = math.prod(shape)
            header[name] = {"dtype": "U8", "shape": shape, "data_offsets": [end, end + size]}
            end += size
    text = json.dumps(header).encode()
    with open(folder / "x.safetensors", "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.truncate(8 + len(text) + end)


CASES = {
    renamed: (
        HEADS,
        "no table fits; the nearest is .*'blocks.1.mlp.fc1.weight' missing;"
        " 'blocks.1.mlp.fc1.kernel' unexpected",
    ),
    transposed: (HEADS, r"blocks.1.mlp.fc1.weight is \[32, 64\] instead of \[64, 32\]"),
    truncated: (HEADS, "truncated or damaged, cannot be read"),
    truncated_archive: (HEADS, "truncated or damaged, cannot be read"),
    pickle_with_code: (HEADS, "refused: the file asks to execute code"),
    zip_with_code: (HEADS, r"refused: the file asks to execute code \((builtins\.)?print\)"),
    vit_l: (
        "--size=base",
        "it holds a ViT of width 1024, depth 24, 16 heads, .*, not a ViT of width 768, depth 12,",
    ),
}


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("make", CASES, ids=lambda make: make.__name__)
def test_it_fails_in_one_line_and_nothing_is_written(make, named, tmp_path, capfd):
    make(tmp_path)
    (path,) = tmp_path.iterdir()
    option, says = CASES[make]
    if named:
        says = says.replace("no table fits; the nearest is", "does not hold")
    spec = f"mvd:{path}" if named else str(path)
    capfd.readouterr()
    assert main(["weights", "import", spec, option, f"--out={tmp_path / 'out'}"]) == 1
    out, err = capfd.readouterr()
    line, *table = err.splitlines()
    assert out == "" and line.startswith(f"surgvista: {path}: ")
    assert re.search(says, line), line
    assert not table or "matched" in table[0]  # the names, below the line
    assert list(tmp_path.iterdir()) == [path]


def test_the_size_that_is_asked_for_is_taken(tmp_path, capsys):
    """A ViT-S, as ViT-S and not as ViT-B."""
    config = EncoderConfig(TransformerConfig(**(SIZES["small"] | {"depth": 1})))
    arrays = random_arrays(MVD.entries(config))
    many = {
        f"blocks.{i}.{name.removeprefix('blocks.0.')}": array
        for i in range(SIZES["small"]["depth"])
        for name, array in arrays.items()
        if name.startswith("blocks.0.")
    }
    write(tmp_path / "x.npz", arrays | many)
    words = ["weights", "import", str(tmp_path / "x.npz")]
    assert main([*words, "--size=base", f"--out={tmp_path / 'b'}"]) == 1
    assert "width 384" in capsys.readouterr().err and not (tmp_path / "b").exists()
    assert main([*words, "--size=small", f"--out={tmp_path / 's'}"]) == 0
