"""No file's arrays tell the attention heads: who is believed, and in which order."""

import dataclasses
import json
import os

import pytest

from surgvista_jax.__main__ import main
from surgvista_jax.errors import UserError
from surgvista_jax.models.layers import TransformerConfig
from surgvista_jax.models.masked_autoencoder import MaskedAutoencoderConfig
from surgvista_jax.models.video_vit import SIZES, EncoderConfig
from surgvista_jax.weights import provenance, tables
from surgvista_jax.weights.choosing import choose, heads_rule, written_heads
from surgvista_jax.weights.files.read import SourceFile
from surgvista_jax.weights.files.stored import Stored
from surgvista_jax.weights.files.write import save
from surgvista_jax.weights.for_pretraining import load_student
from surgvista_jax.weights.kinds import StudentConfig
from surgvista_jax.weights.loading import load
from tests.support.weight_files import HEADS, random_arrays, tiny_config, write

BASE = TransformerConfig(**SIZES["base"])
EIGHT = dataclasses.replace(BASE, heads=8)


def source(metadata: dict | None = None) -> SourceFile:
    """Names and shapes of a ViT-B, whose heads may be 8 or 12."""
    table = tables.find("videomae2")
    config = EncoderConfig(BASE, positions="flat", norm=False)
    shapes = {k: v for entry in table.entries(config) for k, v in entry.expected.items()}
    arrays = {k: Stored(v, "float32", lambda: None) for k, v in shapes.items()}
    return SourceFile("x.safetensors", arrays, "", metadata=metadata or {})


def found(metadata=None, **arguments) -> int:
    return choose(source(metadata), "videomae2", **arguments).config.transformer.heads


def test_what_is_given_or_expected_comes_before_the_sizes_of_papers():
    said = {"heads": json.dumps({"encoder": 8, "pixel_decoder": 4})}
    assert found() == 12
    assert found(heads=8) == found(heads={"encoder": 8}) == 8
    assert found(heads=heads_rule(like=EncoderConfig(EIGHT))) == 8
    assert found(said) == 8
    assert found(said, heads=heads_rule(like=EncoderConfig(BASE))) == 8
    with pytest.raises(UserError, match="says that its encoder has 8 attention heads"):
        found(said, heads=12)


def test_another_number_of_heads_than_expected_is_refused():
    wanted = EncoderConfig(BASE, positions="flat", norm=False)
    said = {"heads": json.dumps({"encoder": 8})}
    match = choose(
        source(said),
        "videomae2",
        expect=lambda kind, found: wanted,
        heads=heads_rule(like=wanted),
    )
    with pytest.raises(UserError, match="12, 8 heads.*not a ViT of width 768, depth 12, 12 heads"):
        match.require()


@pytest.mark.parametrize(
    "text",
    ["[]", "12", "{", '{"encoder": "8"}', '{"encoder": true}', "{}", "[" * 100_000, "9" * 5000],
    ids=lambda text: text[:20],
)
def test_what_another_program_wrote_there_is_no_number_of_heads(text):
    assert written_heads(source({"heads": text})) == {}
    assert provenance.facts({provenance.ABOUT: text}) == {}
    assert found({"heads": text}) == 12


def test_decoders_of_unusual_heads_are_the_expected_ones():
    stack = TransformerConfig(384, 4, 4)
    model = MaskedAutoencoderConfig(BASE, stack, stack)
    rule = heads_rule(like=StudentConfig(model))
    assert rule(384, 4, "pixel_decoder") == 4 and rule(512, 4, "pixel_decoder") == 8
    assert rule(1024, 24, "encoder") == 16  # a ViT-L given as a ViT-B is told as what it is


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_an_export_says_its_heads_and_is_read_by_them(suffix, tmp_path, capsys):
    table = tables.find("surgvista")
    write(tmp_path / "x.npz", random_arrays(table.entries(tiny_config(table))))
    given = "--heads=" + ",".join(f"{part}={number}" for part, number in HEADS.items())
    out = tmp_path / f"out{suffix}"
    words = ["import", str(tmp_path / "x.npz"), given, f"--out={tmp_path / 'folder'}"]
    assert main(["weights", *words]) == 0
    export = ["weights", "export", str(tmp_path / "folder"), "--as=surgvista", f"--out={out}"]
    assert main(export) == 0
    loaded = load(out)
    assert loaded.config.encoder.transformer.heads == 2
    assert loaded.config.model.feature_decoder.heads == 4
    model = loaded.config.model
    other = dataclasses.replace(
        model, pixel_decoder=dataclasses.replace(model.pixel_decoder, heads=2)
    )
    with pytest.raises(UserError, match=r"pixel_decoder\.heads=1 instead of 2"):
        load_student(out, other)
    capsys.readouterr()
    assert main(["weights", "import", str(out), "--heads=4", f"--out={tmp_path / 'again'}"]) == 1
    assert "says that its encoder has 2 attention heads, not 4" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".safetensors", ".npz"])
def test_files_are_as_readable_as_the_user_has_them(suffix, tmp_path):
    table = tables.find("vit")
    config = tiny_config(table)
    write(tmp_path / "x.npz", random_arrays(table.entries(config)))
    loaded = load(f"vit:{tmp_path / 'x.npz'}", heads=HEADS)
    for mask, mode in ((0o022, 0o644), (0o027, 0o640), (0o077, 0o600)):
        before = os.umask(mask)
        try:
            save(loaded.params, table, config, tmp_path / f"y{suffix}")
        finally:
            os.umask(before)
        assert (tmp_path / f"y{suffix}").stat().st_mode & 0o777 == mode
