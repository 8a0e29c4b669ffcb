"""Every table: what a file holds comes in whole, makes our model, and goes out as it was."""

import dataclasses
import importlib.util
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.core import meta
from safetensors.numpy import save_file

from surgvista_jax.errors import UserError
from surgvista_jax.models.backbones import make_backbone
from surgvista_jax.models.image_vit import ImageEncoder, TeacherConfig
from surgvista_jax.models.layers import ComputeConfig
from surgvista_jax.models.masked_autoencoder import MaskedAutoencoder, MaskedAutoencoderConfig
from surgvista_jax.models.patches import IMAGENET_MEAN, IMAGENET_STD, normalise, patchify
from surgvista_jax.models.video_vit import VideoEncoder
from surgvista_jax.weights import tables
from surgvista_jax.weights.files.read import open_file
from surgvista_jax.weights.files.write import flat, save, to_theirs
from surgvista_jax.weights.for_pretraining import load_student, load_teacher
from surgvista_jax.weights.kinds import comparable, encoder_of
from surgvista_jax.weights.loading import load, load_backbone
from surgvista_jax.weights.names.entries import patch_embedding
from tests.support.weight_files import GRID, HEADS, random_arrays, tiny_config, write

TABLES = tables.registry()
SUFFIXES = (".safetensors", ".npz")
COMPUTE = ComputeConfig(dtype="float32")
if importlib.util.find_spec("torch"):
    SUFFIXES += (".pth",)


def tiny(name: str, bias: str = "qv"):
    config = tiny_config(TABLES[name], bias)
    return config, random_arrays(TABLES[name].entries(config))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("name", TABLES)
def test_export_after_import_is_the_identity_bit_for_bit(name, suffix, tmp_path):
    config, arrays = tiny(name)
    write(tmp_path / f"theirs{suffix}", arrays)
    loaded = load(f"{name}:{tmp_path / f'theirs{suffix}'}", heads=HEADS)
    assert comparable(loaded.config) == comparable(config)
    assert loaded.match.nested == (("model",) if suffix == ".pth" else ())

    save(
        loaded.params,
        TABLES[name],
        loaded.config,
        tmp_path / f"ours{suffix}",
        batch_stats=loaded.batch_stats,
    )
    with open_file(tmp_path / f"ours{suffix}") as back:
        assert back.arrays.keys() == arrays.keys()
        for key, array in arrays.items():
            assert back.arrays[key].read().tobytes() == array.tobytes(), key
    again = load(f"{name}:{tmp_path / f'ours{suffix}'}", heads=HEADS)
    equal = jax.tree.map(np.array_equal, again.params, loaded.params)
    assert all(jax.tree.leaves(equal))


@pytest.mark.parametrize("name", [name for name in TABLES if TABLES[name].kind != "cnn"])
def test_what_comes_in_is_the_tree_of_our_model(name, tmp_path):
    config, arrays = tiny(name, bias="qkv" if "hf" not in name else "qv")
    write(tmp_path / "x.safetensors", arrays)
    loaded = load(f"{name}:{tmp_path / 'x.safetensors'}", heads=HEADS)
    encoder = encoder_of(loaded.config)
    grid = (2, *GRID)
    patches = jnp.zeros((1, 8, encoder.patch_values))
    wanted = _shapes(VideoEncoder(encoder, COMPUTE, grid), patches, None, False)
    kind = loaded.kind
    if kind == "student":
        ids = jnp.arange(4)[None, None]
        width = loaded.config.feature_width
        model = MaskedAutoencoder(loaded.config.model, COMPUTE, grid, width)
        wanted = _shapes(model, patches.astype(jnp.uint8), ids, ids + 4, False)
    elif kind == "classifier":
        width, classes = encoder.transformer.width, loaded.config.classes
        wanted = {
            **{f"backbone/{key}": shape for key, shape in wanted.items()},
            "norm/scale": (width,),
            "norm/bias": (width,),
            "head/kernel": (width, classes),
            "head/bias": (classes,),
        }
    elif kind == "teacher":
        teacher = TeacherConfig(encoder.transformer, "", encoder.patch)
        wanted = _shapes(ImageEncoder(teacher, COMPUTE), jnp.zeros((1, 8, 8, 3), jnp.uint8))
    assert {key: leaf.shape for key, leaf in flat(loaded.params).items()} == wanted
    assert all(leaf.dtype == np.float32 for leaf in jax.tree.leaves(loaded.params))


def _shapes(model, *arguments) -> dict[str, tuple[int, ...]]:
    static = {i: a for i, a in enumerate(arguments) if not hasattr(a, "shape")}
    arrays = [a for a in arguments if hasattr(a, "shape")]

    def init(key, *arrays):
        given = iter(arrays)
        filled = [static[i] if i in static else next(given) for i in range(len(arguments))]
        return model.init(key, *filled)

    tree = jax.eval_shape(init, jax.random.key(0), *arrays)
    return {k: v.shape for k, v in flat(meta.unbox(tree)["params"]).items()}


def test_prefixes_nesting_and_ignored_names_are_found_and_told(tmp_path):
    config, arrays = tiny("vit")
    arrays = {f"module.{name}": array for name, array in arrays.items()}
    arrays["module.head.weight"] = np.zeros((7, 32), np.float32)
    write(tmp_path / "x.npz", arrays)
    loaded = load(f"vit:{tmp_path / 'x.npz'}", heads=HEADS)
    assert loaded.table.name == "vit" and loaded.match.prefix == "module."
    assert "'module.' stripped" in loaded.summary()
    assert "a classification head" in loaded.match.text()
    assert len(loaded.digest) == 64


def test_a_file_that_two_models_fit_is_not_guessed(tmp_path):
    _, arrays = tiny("videomae_finetuned")
    write(tmp_path / "x.npz", arrays)
    with pytest.raises(UserError, match="surgvista_finetuned.*videomae_finetuned"):
        load(tmp_path / "x.npz", heads=HEADS)
    loaded = load(f"videomae2_finetuned:{tmp_path / 'x.npz'}", heads=HEADS)
    assert loaded.config.encoder.positions == "flat"
    # A file that we wrote says whose names it has.
    save(loaded.params, loaded.table, loaded.config, tmp_path / "y.safetensors")
    assert load(tmp_path / "y.safetensors", heads=HEADS).table.name == "videomae2_finetuned"


def test_a_students_encoder_is_a_backbone_and_computes_the_same(tmp_path):
    config, arrays = tiny("surgvista")
    write(tmp_path / "x.npz", arrays)
    backbone, variables, loaded = load_backbone(tmp_path / "x.npz", heads=HEADS)
    assert loaded.kind == "student"
    assert backbone.encoder == loaded.config.encoder
    video = jnp.ones((1, 4, 8, 8, 3))
    grid = backbone.grid(4, 8, 8)
    tokens = make_backbone(backbone, COMPUTE, grid).apply(variables, video, False)
    patches = jnp.ones((1, 8, backbone.encoder.patch_values))
    encoder = VideoEncoder(config.encoder, COMPUTE, grid)
    wanted = encoder.apply({"params": loaded.params["encoder"]}, patches, None, False)
    np.testing.assert_array_equal(tokens, wanted)


@pytest.mark.parametrize("name", ["vit", "vit_hf"])
def test_a_file_that_models_of_other_pixels_fit_is_not_guessed(name, tmp_path):
    _, arrays = tiny(name)
    path = tmp_path / "x.npz"
    write(path, arrays)
    alike = [t for t in TABLES.values() if name in (t.name, t.variant_of)]
    assert any(t.pixels for t in alike)
    with pytest.raises(UserError, match="differ in the pixels that the model wants") as caught:
        load(path, heads=HEADS)
    line = str(caught.value)
    assert "\n" not in line and all(t.name in line for t in alike)
    assert "(pixels minus (0.5, 0.5, 0.5), divided by (0.5, 0.5, 0.5))" in line
    for table in alike:
        _, variables, loaded = load_backbone(f"{table.name}:{path}", heads=HEADS)
        told = "its patches now take pixels that are normalised as ImageNet's"
        assert (told in loaded.notes) == (table.pixels is not None)
        kernel = loaded.params["patch_embedding"]["kernel"]
        same = np.array_equal(variables["params"]["patch_embedding"]["kernel"], kernel)
        assert same == (table.pixels is None)


@pytest.mark.parametrize("name", ["endovit", "augreg"])
def test_a_backbone_of_other_pixels_takes_ours(name, tmp_path):
    """What the model says of an image does not depend on how its pixels were normalised."""
    _, arrays = tiny("vit")
    write(tmp_path / "x.npz", arrays)
    images = np.random.default_rng(0).uniform(size=(1, 1, 8, 8, 3)).astype(np.float32)

    def tokens(spec: str, mean, deviation) -> np.ndarray:
        backbone, variables, _ = load_backbone(spec, heads=HEADS)
        model = make_backbone(backbone, COMPUTE, backbone.grid(1, 8, 8))
        video = (images - np.float32(mean)) / np.float32(deviation)
        return np.asarray(model.apply(variables, jnp.asarray(video), False))

    as_trained = tokens(f"vit:{tmp_path / 'x.npz'}", *TABLES[name].pixels)
    ours = tokens(f"{name}:{tmp_path / 'x.npz'}", IMAGENET_MEAN, IMAGENET_STD)
    np.testing.assert_allclose(ours, as_trained, rtol=1e-4, atol=1e-4)


def test_half_precisions_come_in_as_their_single_ones(tmp_path):
    _, arrays = tiny("mvd")
    arrays = {k: v.astype(np.float16) for k, v in arrays.items()}
    save_file(arrays, tmp_path / "half.safetensors")
    write(tmp_path / "single.npz", {k: v.astype(np.float32) for k, v in arrays.items()})
    half = load(tmp_path / "half.safetensors", heads=HEADS)
    single = load(tmp_path / "single.npz", heads=HEADS)
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, half.params, single.params)))


def test_a_bfloat16_array_is_read_exactly(tmp_path):
    values = np.float32([1.0, -2.5, 3.140625, 1e30, 0.0])
    bits = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
    header = b'{"x":{"dtype":"BF16","shape":[5],"data_offsets":[0,10]}}'
    header += b" " * (-len(header) % 8)
    path = tmp_path / "x.safetensors"
    path.write_bytes(len(header).to_bytes(8, "little") + header + bits)
    with open_file(path) as source:
        assert source.arrays["x"].dtype == "bfloat16"
        wanted = (values.view(np.uint32) & 0xFFFF0000).view(np.float32)
        np.testing.assert_array_equal(source.arrays["x"].read(), wanted)


def test_a_student_takes_what_a_file_holds(tmp_path):
    config, arrays = tiny("surgvista")
    write(tmp_path / "all.npz", arrays)
    loaded = load_student(tmp_path / "all.npz", config.model)
    assert sorted(loaded.params) == ["encoder", "feature_decoder", "pixel_decoder"]
    assert loaded.config.feature_width == 24

    encoder, arrays = tiny("mvd")
    write(tmp_path / "encoder.npz", arrays)
    loaded = load_student(tmp_path / "encoder.npz", config.model)
    assert list(loaded.params) == ["encoder"]

    pixels, arrays = tiny("videomae")
    write(tmp_path / "pixels.npz", arrays)
    model = MaskedAutoencoderConfig(
        pixels.model.encoder, pixels.model.pixel_decoder, config.model.feature_decoder, 2, 4, "flat"
    )
    loaded = load_student(tmp_path / "pixels.npz", model)
    assert sorted(loaded.params) == ["encoder", "pixel_decoder"]
    assert not loaded.params["pixel_decoder"]["projection"]["bias"].any()


@pytest.mark.parametrize("name", ["endossl", "vit"])
def test_a_teacher_may_come_in_either_form(name, tmp_path):
    config, arrays = tiny(name)
    write(tmp_path / "x.npz", arrays)
    teacher = TeacherConfig(config.transformer, f"{name}:{tmp_path / 'x.npz'}", config.patch)
    params = load_teacher(teacher.weights, teacher).params
    images = jnp.full((1, 8, 8, 3), 200, jnp.uint8)
    features = ImageEncoder(teacher, COMPUTE).apply({"params": params}, images)
    loaded = load(teacher.weights, heads=HEADS)
    theirs = loaded.params.get("encoder", loaded.params)
    encoder = VideoEncoder(dataclasses.replace(config, norm=False), COMPUTE, (1, *GRID))
    patches = normalise(patchify(images[:, None], 1, 4), jnp.float32)
    wanted = encoder.apply({"params": theirs}, patches, None, False)[:, 1:]
    np.testing.assert_allclose(features, wanted, rtol=1e-6, atol=1e-6)


def test_a_bias_that_they_have_not_must_be_zero(tmp_path):
    config, arrays = tiny("videomae")
    write(tmp_path / "x.npz", arrays)
    loaded = load(tmp_path / "x.npz", heads=HEADS)
    leaves = flat(loaded.params)
    assert to_theirs(leaves, loaded.table, loaded.config).keys() == arrays.keys()
    loaded.params["pixel_decoder"]["projection"]["bias"][0] = 1.0
    with pytest.raises(UserError, match="pixel_decoder/projection/bias.*must be zero"):
        save(loaded.params, loaded.table, loaded.config, tmp_path / "y.npz")
    assert not list(tmp_path.glob("y*"))


def test_what_is_read_of_a_pth_stays_on_disk_beside_it(tmp_path):
    """So that loading needs the memory of the parameters, not that of the file besides."""
    torch = pytest.importorskip("torch")
    maps = Path("/proc/self/smaps")
    if not maps.exists():
        pytest.skip("only Linux tells how much of a file is in memory")
    path = tmp_path / "x.pth"
    rng = np.random.default_rng(0)
    arrays = {f"a{i}": rng.standard_normal((512, 512 + i), np.float32) for i in range(8)}
    torch.save({name: torch.from_numpy(array) for name, array in arrays.items()}, path)
    with open_file(path) as source:
        for _ in range(2):  # a second time the numbers are read again
            for name, array in arrays.items():
                np.testing.assert_array_equal(source.arrays[name].read(), array)
        mapped = maps.read_text().split(str(path))[1:]
        resident = [int(part.split("Rss:")[1].split()[0]) * 1024 for part in mapped]
    assert mapped and sum(resident) < path.stat().st_size / 4


def test_patches_of_several_frames_have_no_name_in_an_image_model():
    """An export that looks for names that fit asks every table, those of image models too."""
    transform = patch_embedding(width=4, patch=2, tubelet=2, conv=2)
    with pytest.raises(UserError, match="of single frames, ours of 2"):
        transform.to_theirs(np.zeros((24, 4), np.float32))
