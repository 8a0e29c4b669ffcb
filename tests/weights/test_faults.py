"""A file that is not what was asked for: one clear line, the table of names, and nothing loaded."""

import argparse
import pickle

import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.models.backbones import BackboneConfig
from surgvista_jax.models.layers import TransformerConfig
from surgvista_jax.models.video_vit import SIZES, EncoderConfig
from surgvista_jax.weights import tables
from surgvista_jax.weights.choosing import choose
from surgvista_jax.weights.files.read import SourceFile
from surgvista_jax.weights.files.stored import Stored
from surgvista_jax.weights.for_pretraining import load_student
from surgvista_jax.weights.loading import digest_of, load, load_backbone
from tests.support.weight_files import HEADS, random_arrays, tiny_config, write

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


@pytest.mark.parametrize("number", ["99999999", "9" * 5000], ids=len)
def test_a_layer_that_cannot_be_there_is_told_at_once(number, tmp_path):
    arrays = _arrays()
    arrays[f"blocks.{number}.norm1.bias"] = arrays.pop("blocks.1.norm1.bias")
    _error(tmp_path / "x.safetensors", arrays)
    line, _ = _error(tmp_path / "x.safetensors", arrays, "surgvista:{}")
    assert f"blocks.{number[:8]}" in line and len(line) < 20_000


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


def test_a_student_without_its_pixel_decoder_is_not_taken_for_another_model(tmp_path):
    """Whose table leaves decoders out: it would take the rest without a word of the loss."""
    arrays = {k: v for k, v in _arrays().items() if "_vid" not in k}
    line, table = _error(tmp_path / "x.npz", arrays)
    assert "no table fits; the nearest is SurgVISTA's pretraining student" in line
    assert "its pixel_decoder is unknown" in line and "what mvd ignores" in line
    assert "decoder_vid" in line
    loaded = load(f"mvd:{tmp_path / 'x.npz'}", heads=HEADS)
    assert loaded.kind == "encoder" and loaded.match.left_out


def test_a_student_that_learned_from_pixels_alone_is_read_as_one(tmp_path):
    arrays = {k: v for k, v in _arrays().items() if "_img" not in k}
    write(tmp_path / "x.npz", arrays)
    loaded = load(tmp_path / "x.npz", heads=HEADS)
    assert loaded.table.name == "surgvista" and loaded.config.feature_width == 0
    assert loaded.params.keys() == {"encoder", "pixel_decoder"}


@pytest.mark.parametrize("lost", ["decoder_img.head", "decoder_img.blocks", "down_vid", "head"])
def test_whatever_of_a_decoder_is_lost_its_table_stays_the_nearest(lost, tmp_path):
    arrays = {k: v for k, v in _arrays().items() if lost not in k}
    line, _ = _error(tmp_path / "x.npz", arrays)
    assert "the nearest is SurgVISTA's pretraining student" in line


def test_an_encoder_alone_needs_no_name(tmp_path):
    arrays = {k: v for k, v in _arrays().items() if "_img" not in k and "_vid" not in k}
    write(tmp_path / "x.npz", arrays)
    assert load(tmp_path / "x.npz", heads=HEADS).table.name == "mvd"


@pytest.mark.parametrize(("prefix", "found"), [("", ""), ("model.", "videomae2")])
def test_a_finetuned_file_without_its_head(prefix, found, tmp_path):
    """Both forms of positions have these names; under the prefix of the hub one is left."""
    table = tables.find("videomae2_finetuned")
    arrays = random_arrays(table.entries(tiny_config(table)))
    path = tmp_path / "x.npz"
    write(path, {prefix + k: v for k, v in arrays.items() if not k.startswith("head")})
    if found:
        assert load(path, heads=HEADS).table.name == found
    else:
        with pytest.raises(UserError, match="no head.bias or head.weight; what videomae2 ignores"):
            load(path, heads=HEADS)


@pytest.mark.parametrize("name", ["vit", "endossl"])
def test_a_table_of_positions_of_no_square_image_is_told(name, tmp_path):
    table = tables.find(name)
    arrays = random_arrays(table.entries(tiny_config(table)))
    arrays["pos_embed"] = np.concatenate([arrays["pos_embed"]] * 2, axis=1)[:, :-1]
    write(tmp_path / "x.npz", arrays)
    with pytest.raises(UserError) as caught:
        load(f"{name}:{tmp_path / 'x.npz'}", heads=HEADS)
    line = str(caught.value).partition("\n")[0]
    assert "pos_embed: " in line and "positions do not form a square" in line


@pytest.mark.parametrize("bare", ["norm.weight", "blocks."])
def test_a_prefix_before_half_of_the_names_is_told(bare, tmp_path):
    table = tables.find("vit")
    arrays = random_arrays(table.entries(tiny_config(table)))
    arrays = {k if k.startswith(bare) else f"backbone.{k}": v for k, v in arrays.items()}
    write(tmp_path / "x.npz", arrays)
    with pytest.raises(UserError) as caught:
        load(f"vit:{tmp_path / 'x.npz'}", heads=HEADS)
    line = str(caught.value).partition("\n")[0]
    assert f"'backbone.' stands before only some of its names, not before '{bare}" in line


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


@pytest.mark.parametrize("place", [0, 7, 8, 20, 0.5, -1])
def test_a_flipped_byte_in_a_header_is_told(place, tmp_path):
    """Of the numbers of a .safetensors nothing but the digest tells: they have no checksum."""
    path = tmp_path / "x.safetensors"
    write(path, _arrays())
    data = bytearray(path.read_bytes())
    end = 8 + int.from_bytes(data[:8], "little")
    at = int(end * place) if isinstance(place, float) else place % end
    data[at] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"x\.safetensors: truncated or damaged"):
        load(path, heads=HEADS)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_no_flipped_byte_of_an_archive_changes_a_number_silently(save, tmp_path):
    path, told = tmp_path / "x.npz", 0
    save(path, **_arrays())
    whole = path.read_bytes()
    wanted = load(path, heads=HEADS)
    places = range(0, len(whole), len(whole) // 40)
    for at in places:
        data = bytearray(whole)
        data[at] ^= 0xFF
        path.write_bytes(data)
        try:
            found = load(path, heads=HEADS)
        except UserError as error:
            assert str(error).startswith(f"{path}: ")
            told += 1
        else:  # a date, say
            assert digest_of(found.params) == digest_of(wanted.params)
    assert told > len(places) * 0.8


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


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("wrong", [np.int8, np.complex64, np.nan, -np.inf, 1e300])
def test_numbers_that_are_no_weights_are_refused(tmp_path, wrong):
    arrays = dict(_arrays())
    name = next(iter(arrays))
    if isinstance(wrong, float):  # the last is finite until it is a float32
        arrays[name] = np.full_like(arrays[name], wrong, np.float64)
    else:
        arrays[name] = arrays[name].astype(wrong)
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(UserError, match=f"{name} holds .*; weights are finite numbers"):
        load(tmp_path / "x.npz", heads=HEADS)
