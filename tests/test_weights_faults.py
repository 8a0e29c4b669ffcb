"""A file that is not what was asked for: one clear line, the table of names, and nothing loaded."""

import argparse
import pickle

import numpy as np
import pytest
from test_weights_tables import write
from weight_files import HEADS, random_arrays, tiny_config

from surgvista_jax.errors import UserError
from surgvista_jax.models.backbones import BackboneConfig
from surgvista_jax.models.layers import TransformerConfig
from surgvista_jax.models.video_vit import SIZES, EncoderConfig
from surgvista_jax.weights import tables
from surgvista_jax.weights.choosing import choose
from surgvista_jax.weights.files import SourceFile, Stored
from surgvista_jax.weights.for_pretraining import load_student
from surgvista_jax.weights.loading import load, load_backbone

STUDENT = tables.find("surgvista")
CONFIG = tiny_config(STUDENT)


def _arrays() -> dict[str, np.ndarray]:
    return random_arrays(STUDENT.entries(CONFIG))


def _error(path, arrays, spec: str = "{}") -> tuple[str, str]:
    """The first line of the error and the table below it, with and without expectations."""
    write(path, arrays)
    with pytest.raises(UserError) as caught:
        load(spec.format(path), heads=HEADS)
    with pytest.raises(UserError):
        load_student(spec.format(path), CONFIG.model)
    line, _, table = str(caught.value).partition("\n")
    assert str(path) in line
    return line, table


@pytest.mark.parametrize("spec", ["{}", "surgvista:{}"])
@pytest.mark.parametrize("key", ["blocks.1.mlp.fc1.weight", "patch_embed.proj.weight", "norm.bias"])
def test_a_renamed_key_is_named_as_missing_and_as_unexpected(key, spec, tmp_path):
    arrays = _arrays()
    arrays[f"{key}_old"] = arrays.pop(key)
    line, table = _error(tmp_path / "x.safetensors", arrays, spec)
    assert f"{key!r} missing" in line and f"'{key}_old' unexpected" in line
    assert "1 missing, 1 unexpected" in table


def test_two_names_for_one_parameter_are_not_chosen_between(tmp_path):
    arrays = _arrays()
    arrays |= {f"module.{name}": array + 1 for name, array in arrays.items()}
    line, _ = _error(tmp_path / "x.npz", arrays, "surgvista:{}")
    assert "unexpected" in line or "become the same one" in line


def test_a_missing_key_is_named(tmp_path):
    arrays = _arrays()
    del arrays["decoder_img.head.weight"]
    line, table = _error(tmp_path / "x.npz", arrays)
    assert "'decoder_img.head.weight' missing" in line and "unexpected" not in line
    assert "missing    decoder_img.head.weight [24, 64]" in table


def test_a_transposed_array_is_named_with_both_shapes(tmp_path):
    arrays = _arrays()
    name = "blocks.2.mlp.fc2.weight"
    arrays[name] = np.ascontiguousarray(arrays[name].T)
    line, table = _error(tmp_path / "x.safetensors", arrays)
    assert f"{name} is [64, 32] instead of [32, 64]" in line
    assert "1 mis-shaped" in table


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
@pytest.mark.parametrize("kept", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file_says_so(suffix, kept, tmp_path):
    path = tmp_path / f"x{suffix}"
    write(path, _arrays())
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * kept)])
    with pytest.raises(UserError, match=r"x\.\w+: truncated or damaged"):
        load(path, heads=HEADS)


@pytest.mark.parametrize("name", ["x.npz", "x.safetensors"])
def test_a_flipped_byte_in_an_archive_is_not_loaded_silently(name, tmp_path):
    path = tmp_path / name
    if name.endswith(".safetensors"):
        path.write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00not json at all!")
    else:
        write(path, _arrays())
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)
    with pytest.raises(UserError, match="truncated or damaged"):
        load(path, heads=HEADS)


class _Code:
    def __reduce__(self):
        return (print, ("executed",))


def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, capsys):
    torch = pytest.importorskip("torch")
    torch.save({"model": {"a": torch.zeros(2)}, "args": _Code()}, tmp_path / "zip.pth")
    with open(tmp_path / "plain.pth", "wb") as file:
        pickle.dump({"model": _Code()}, file)
    for path in tmp_path.iterdir():
        with pytest.raises(UserError, match="refused: the file asks to execute code") as caught:
            load(path)
        assert "print" in str(caught.value) or path.name == "plain.pth"
    assert capsys.readouterr().out == ""


def test_what_a_training_program_saved_besides_does_no_harm(tmp_path):
    torch = pytest.importorskip("torch")
    tree = {
        "epoch": 3,
        "args": argparse.Namespace(lr=1e-3, names=["a"]),
        "optimizer": {"state": {0: {"exp_avg": torch.zeros(2)}}, "param_groups": [{"lr": 1.0}]},
        "model": {k: torch.from_numpy(v) for k, v in _arrays().items()},
    }
    torch.save(tree, tmp_path / "x.pth")
    loaded = load(tmp_path / "x.pth", heads=HEADS)
    assert loaded.match.nested == ("model",)


def test_a_truncated_pth_says_so(tmp_path):
    torch = pytest.importorskip("torch")
    path = tmp_path / "x.pth"
    torch.save({k: torch.from_numpy(v) for k, v in _arrays().items()}, path)
    data = path.read_bytes()
    for kept in (0, 10, len(data) // 2, len(data) - 40):
        path.write_bytes(data[:kept])
        with pytest.raises(UserError, match="truncated or damaged"):
            load(path, heads=HEADS)


def _of_size(name: str) -> tuple[SourceFile, EncoderConfig]:
    """A VideoMAE V2 encoder of real size: names and shapes without numbers."""
    table = tables.find("videomae2")
    config = EncoderConfig(TransformerConfig(**SIZES[name]), positions="flat", norm=False)
    shapes = {k: v for entry in table.entries(config) for k, v in entry.expected.items()}

    def unread():
        raise AssertionError("shapes decide before a number is read")

    arrays = {k: Stored(v, "float32", unread) for k, v in shapes.items()}
    return SourceFile(f"{name}.pth", arrays, ""), config


def test_a_large_vit_given_as_a_base_one_is_told_before_anything_is_read(tmp_path):
    large, config = _of_size("large")
    assert choose(large).config == config
    _, base = _of_size("base")
    found = choose(large, "videomae2", expect=lambda kind, found: base)
    with pytest.raises(UserError) as caught:
        found.require()
    line = str(caught.value).splitlines()[0]
    assert "width 1024, depth 24, 16 heads" in line and "not a ViT of width 768" in line
    assert "mis-shaped" in str(caught.value)


def test_a_deeper_backbone_than_asked_for_is_told(tmp_path):
    write(tmp_path / "x.npz", _arrays())
    sizes = TransformerConfig(32, 2, 2, mlp_ratio=2.0)
    wanted = BackboneConfig("vit", EncoderConfig(sizes, patch=4))
    with pytest.raises(UserError, match="depth 3.*not a ViT of width 32, depth 2"):
        load_backbone(tmp_path / "x.npz", wanted)
    with pytest.raises(UserError, match="x.npz"):
        load_backbone(tmp_path / "x.npz", BackboneConfig("resnet50"))


def test_unknown_heads_are_asked_for(tmp_path):
    write(tmp_path / "x.npz", _arrays())
    with pytest.raises(UserError, match="attention heads of its encoder of width 32"):
        load(f"surgvista:{tmp_path / 'x.npz'}")
    with pytest.raises(UserError, match="no table fits; the nearest is SurgVISTA's pretraining"):
        load(tmp_path / "x.npz")


def test_what_is_no_file_of_weights_is_told(tmp_path):
    for name, words in (
        ("none.npz", "no such file"),
        ("x.h5", "end in .safetensors"),
        ("nonsense:x.npz", "no such table"),
    ):
        if name == "x.h5":
            (tmp_path / name).write_text("")
        spec = name if ":" in name else tmp_path / name
        with pytest.raises(UserError, match=words):
            load(spec)
    np.savez(tmp_path / "objects.npz", a=np.array([{}], object))
    with pytest.raises(UserError, match="Python objects"):
        load(tmp_path / "objects.npz")


@pytest.mark.parametrize("wrong", [np.int8, np.complex64, "not finite"])
def test_numbers_that_are_no_weights_are_refused(tmp_path, wrong):
    arrays = dict(_arrays())
    name = next(iter(arrays))
    if wrong == "not finite":
        arrays[name] = np.full_like(arrays[name], np.nan)
    else:
        arrays[name] = arrays[name].astype(wrong)
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(UserError, match=f"{name} holds .*; weights are finite numbers"):
        load(tmp_path / "x.npz", heads=HEADS)
