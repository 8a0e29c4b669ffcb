"""What a file does not say, and the program that a table is of does: epsilon, pixels, positions."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from surgvista_jax.errors import UserError
from surgvista_jax.inference.classifier import usual_clip
from surgvista_jax.models.backbones import BackboneConfig, make_backbone
from surgvista_jax.models.image_vit import TeacherConfig
from surgvista_jax.models.layers import ComputeConfig
from surgvista_jax.models.patches import normalise
from surgvista_jax.models.positions import (
    RESIZES,
    flat_sine,
    interpolate_positions,
    stretched_sine,
)
from surgvista_jax.weights import tables
from surgvista_jax.weights.for_pretraining import load_student, load_teacher
from surgvista_jax.weights.kinds import encoder_of
from surgvista_jax.weights.loading import load, load_backbone
from surgvista_jax.weights.names.vit_entries import VIDEOMAE, separate
from tests.support.weight_files import HEADS, random_arrays, tiny_config, write

COMPUTE = ComputeConfig(dtype="float32")
# transformers' and SurgVISTA's teacher; every other program has ViT's 1e-6.
EPSILONS = {
    **dict.fromkeys(("vit_hf", "mae_hf", "augreg_hf"), (1e-12, 1e-12)),
    **dict.fromkeys(("videomae_hf_encoder", "videomae_hf"), (1e-12, 1e-12)),
    "videomae_hf_finetuned": (1e-12, 1e-5),
    "endossl": (1e-5, 1e-5),
}
RESIZED = {"vit": "antialias", "augreg": "antialias", "dino": "offset"}


def file_of(name: str, folder, **changes) -> str:
    table = tables.find(name)
    arrays = random_arrays(table.entries(tiny_config(table)))
    arrays = {key: 0.3 * array for key, array in arrays.items()}
    write(folder / "x.npz", {**arrays, **changes})
    return str(folder / "x.npz")


@pytest.mark.parametrize("name", [n for n, t in tables.registry().items() if t.kind != "cnn"])
def test_epsilon_and_interpolation_are_the_programs(name, tmp_path):
    loaded = load(f"{name}:{file_of(name, tmp_path)}", heads=HEADS)
    encoder = encoder_of(loaded.config)
    sizes = encoder.transformer
    assert (sizes.norm_epsilon, sizes.last_epsilon) == EPSILONS.get(name, (1e-6, 1e-6))
    assert encoder.resize == RESIZED.get(name, "bicubic")
    if loaded.kind == "student":
        hub = name == "videomae_hf"
        decoder = loaded.config.model.pixel_decoder
        assert (decoder.norm_epsilon, decoder.last_epsilon) == (
            (1e-12, 1e-5) if hub else (1e-6, 1e-6)
        )


def test_a_layer_norm_divides_by_its_epsilon(tmp_path):
    """Of tokens that hardly vary, which a larger epsilon makes smaller."""
    path = file_of("vit_hf", tmp_path)
    model, variables, _ = load_backbone(f"vit_hf:{path}", heads=HEADS)
    params = dict(variables["params"])
    params["transformer"] = {
        "blocks": _filled(params["transformer"]["blocks"], 0.0)
    }  # tokens as they were embedded
    for part in ("positions", "class_token", "class_position"):
        params[part] = 0 * params[part]
    params["norm"] = {"scale": np.ones(32, np.float32), "bias": np.zeros(32, np.float32)}
    params["patch_embedding"] = {key: 1e-4 * x for key, x in params["patch_embedding"].items()}
    video = jnp.ones((1, 1, 8, 8, 3))
    embedded = video[0, 0, :4, :4].reshape(-1) @ params["patch_embedding"]["kernel"]
    variance = float((embedded + params["patch_embedding"]["bias"]).var())
    assert np.sqrt(variance / (variance + 1e-6)) < 0.9  # what 1e-6 would give
    backbone = make_backbone(model, COMPUTE, (1, 2, 2))
    normed = backbone.apply({"params": params}, video, False)[0, 1]
    np.testing.assert_allclose(normed.std(), 1, rtol=1e-4)


def _filled(tree, value):
    if isinstance(tree, dict):
        return {key: _filled(leaf, value) for key, leaf in tree.items()}
    return np.full_like(tree, value)


def test_a_teacher_and_a_student_say_what_becomes_of_the_epsilon(tmp_path):
    path = file_of("endossl", tmp_path)
    teacher = TeacherConfig(tiny_config(tables.find("endossl")).transformer, path, 4)
    loaded = load_teacher(f"endossl:{path}", teacher)
    assert loaded.config.transformer.norm_epsilon == 1e-5
    assert loaded.notes == ("its layer norms' epsilon is 1e-5, as in its own program",)
    model = tiny_config(tables.find("videomae_hf")).model
    notes = load_student(f"videomae_hf:{file_of('videomae_hf', tmp_path)}", model).notes
    assert len(notes) == 1 and "epsilon was 1e-12, and the student's is 1e-6" in notes[0]


def test_endossl_takes_the_pixels_of_either_program(tmp_path):
    path = file_of("endossl", tmp_path)
    image = np.random.default_rng(0).integers(0, 256, (1, 1, 8, 8, 3), np.uint8)

    def tokens(name: str, video) -> np.ndarray:
        model, variables, _ = load_backbone(f"{name}:{path}", heads=HEADS)
        sizes = dataclasses.replace(model.encoder.transformer, norm_epsilon=1e-6)
        encoder = dataclasses.replace(model.encoder, transformer=sizes)
        backbone = make_backbone(dataclasses.replace(model, encoder=encoder), COMPUTE, (1, 2, 2))
        return np.asarray(backbone.apply(variables, video, False))

    normalised = normalise(jnp.asarray(image), jnp.float32)
    raw = tokens("endossl", jnp.asarray(image, jnp.float32))  # the file's own patches
    scale = np.abs(raw).max()
    np.testing.assert_allclose(tokens("endossl_raw", normalised), raw, atol=1e-4 * scale)
    assert np.abs(tokens("endossl", normalised) - raw).max() > 0.1 * scale
    _, _, loaded = load_backbone(path, heads=HEADS)
    assert loaded.table.name == "endossl"
    assert "raw pixels: endossl_raw:FILE" in loaded.notes[0]
    assert not load_backbone(f"endossl:{path}", heads=HEADS)[2].notes


def test_frames_finetuned_may_have_divided_queries_keys_and_values(tmp_path):
    path = file_of("endossl_finetuned", tmp_path)
    loaded = load(f"frames_finetuned:{path}", heads=HEADS)
    assert loaded.table.name == "endossl_finetuned"
    assert loaded.config.encoder.transformer.attention_bias == "qkv"
    assert load(path, heads=HEADS).table.name == "endossl_finetuned"
    with np.load(path) as file:
        arrays = dict(file)
    names, wanted = separate(VIDEOMAE, "attn.{}"), loaded.params["backbone"]["transformer"]
    for index, name in enumerate(names.qkv):
        found = wanted["blocks"]["attention"]["qkv_kernel"][1, :, index].reshape(32, 32)
        np.testing.assert_array_equal(found, arrays[f"blocks.1.{name}"].T)
    del arrays["blocks.1.attn.q.weight"]
    write(tmp_path / "y.npz", arrays)
    with pytest.raises(UserError, match="frames_finetuned"):
        load(f"frames_finetuned:{tmp_path / 'y.npz'}", heads=HEADS)


def test_the_stretched_table_is_the_flat_one_of_8_frames_of_14x14():
    np.testing.assert_array_equal(stretched_sine((8, 14, 14), 16), flat_sine((8, 14, 14), 16))
    frames = flat_sine((8, 14, 14), 16).reshape(8, 196, 16)
    longer = stretched_sine((16, 14, 14), 16).reshape(16, 196, 16)
    np.testing.assert_array_equal(longer[[0, 15]], frames[[0, 7]])
    np.testing.assert_allclose(longer[3], 0.75 * frames[1] + 0.25 * frames[2], atol=1e-6)
    smaller = stretched_sine((8, 7, 7), 16).reshape(8, 49, 16)
    wanted = [interpolate_positions(frame, (14, 14), (7, 7)) for frame in frames]
    np.testing.assert_array_equal(smaller, wanted)
    assert np.abs(smaller - flat_sine((8, 7, 7), 16).reshape(8, 49, 16)).max() > 1


@pytest.mark.parametrize("grid", [(8, 7, 7), (8, 14, 14), (16, 14, 14), (4, 6, 6)])
def test_a_finetuned_umt_may_carry_its_table(grid, tmp_path):
    table = stretched_sine(grid, 32)
    loaded = load(
        f"umt_finetuned:{file_of('umt_finetuned', tmp_path, pos_embed=table[None])}", heads=HEADS
    )
    assert loaded.config.encoder.positions == "stretched"
    assert list(loaded.match.left_out) == ["pos_embed"]


def test_umts_patches_are_single_frames(tmp_path):
    path = file_of("videomae_finetuned", tmp_path)
    with pytest.raises(UserError, match="spans 2 frames, and UMT's patches are single frames'"):
        load(f"umt_finetuned:{path}", heads=HEADS)


@pytest.mark.parametrize(
    ("name", "frames"),
    [("vit", 1), ("endossl", 1), ("umt", 8), ("umt_finetuned", 8), ("mvd", 16), ("videomae2", 16)],
)
def test_the_frames_that_a_model_sees_where_nothing_is_said(name, frames):
    encoder = encoder_of(tiny_config(tables.find(name)))
    assert usual_clip(BackboneConfig("vit", encoder)).num_frames == frames


def test_a_videomae_model_with_mean_pooling_has_no_norm(tmp_path):
    table = tables.find("videomae_hf_encoder")
    config = dataclasses.replace(tiny_config(table), norm=False)
    write(tmp_path / "x.npz", random_arrays(table.entries(config)))
    loaded = load(f"videomae_hf_encoder:{tmp_path / 'x.npz'}", heads=HEADS)
    assert not loaded.config.norm and "norm" not in loaded.params
    arrays = random_arrays(table.entries(tiny_config(table)))
    del arrays["layernorm.bias"]
    write(tmp_path / "x.npz", arrays)
    with pytest.raises(UserError, match="'layernorm.bias' missing"):
        load(f"videomae_hf_encoder:{tmp_path / 'x.npz'}", heads=HEADS)


@pytest.mark.parametrize("how", RESIZES)
def test_every_interpolation_keeps_a_constant(how):
    table = np.full((14 * 14, 3), 0.7, np.float32)
    for new in ((1, 1), (3, 7), (14, 9), (24, 24)):
        resized = interpolate_positions(table, (14, 14), new, how)
        np.testing.assert_allclose(resized, 0.7, rtol=1e-6)


@pytest.mark.parametrize("how", ["offset", "antialias"])
@pytest.mark.parametrize("new", [(7, 7), (16, 20), (24, 24)])
def test_every_interpolation_agrees_with_torch(how, new):
    torch = pytest.importorskip("torch")
    table = np.random.default_rng(0).standard_normal((14 * 14, 8)).astype(np.float32)
    grid = torch.from_numpy(table.reshape(1, 14, 14, 8)).permute(0, 3, 1, 2)
    asked = {"size": new, "antialias": True}
    if how == "offset":
        asked = {"scale_factor": tuple((size + 0.1) / 14 for size in new)}
    wanted = torch.nn.functional.interpolate(grid, mode="bicubic", **asked)
    ours = interpolate_positions(table, (14, 14), new, how)
    theirs = wanted[0].permute(1, 2, 0).reshape(-1, 8).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
