"""All backbones turn clips into tokens by the same call, and a CNN's frames ignore each other."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from surgvista_jax.models.backbones import CNNS, BackboneConfig, make_backbone
from surgvista_jax.models.layers import ComputeConfig, TransformerConfig
from surgvista_jax.models.patches import normalise, patchify
from surgvista_jax.models.video_vit import EncoderConfig, VideoEncoder
from surgvista_jax.training.partition import MeshConfig, make_mesh, state_shardings
from tests.support.cnn_variables import random_variables, unboxed

FLOAT32 = ComputeConfig(dtype="float32")
TRANSFORMER = TransformerConfig(32, 2, 4)
VIDEO_VIT = EncoderConfig(TRANSFORMER, tubelet=2, patch=8)
IMAGE_VIT = EncoderConfig(
    TRANSFORMER, tubelet=1, patch=8, positions="learned", class_token=True, norm=False
)
CONFIGS = {
    "video_vit": BackboneConfig("vit", VIDEO_VIT),
    "image_vit": BackboneConfig("vit", IMAGE_VIT),
    "resnet50": BackboneConfig("resnet50"),
    "efficientvit_m5": BackboneConfig("efficientvit_m5"),
    "gsvit": BackboneConfig("efficientvit_m5", pixels="bgr"),
}
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 4, 32, 32, 3), np.uint8)
VIDEO = normalise(jnp.asarray(PIXELS), jnp.float32)


@functools.cache
def backbone(name: str, compute: ComputeConfig = FLOAT32):
    return make_backbone(CONFIGS[name], compute, CONFIGS[name].grid(*VIDEO.shape[1:4]))


@functools.cache
def variables(name: str):
    return random_variables(backbone(name), VIDEO, False)


@functools.cache
def apply(name: str):
    return jax.jit(backbone(name).apply, static_argnums=2)


@pytest.mark.parametrize("name", CONFIGS)
def test_tokens_have_the_shape_that_the_configuration_says(name):
    config = CONFIGS[name]
    count = np.prod(config.grid(*VIDEO.shape[1:4])) + config.class_token
    expected = (2, count, config.width)
    assert jax.eval_shape(lambda: backbone(name).apply(variables(name), VIDEO, False)).shape == (
        expected
    )
    half = backbone(name, ComputeConfig("bfloat16"))
    tokens = jax.eval_shape(lambda: half.apply(variables(name), VIDEO, False))
    # Means over a map are not rounded again.
    dtype = jnp.bfloat16 if config.architecture == "vit" else jnp.float32
    assert (tokens.shape, tokens.dtype) == (expected, dtype)


@pytest.mark.parametrize("name", ["video_vit", "image_vit"])
def test_a_vit_is_its_encoder_over_all_tokens(name):
    config = CONFIGS[name].encoder
    encoder = VideoEncoder(config, FLOAT32, CONFIGS[name].grid(*VIDEO.shape[1:4]))
    patches = patchify(VIDEO, config.tubelet, config.patch)
    expected = encoder.apply(variables(name), patches, None, False)
    np.testing.assert_allclose(apply(name)(variables(name), VIDEO, False), expected, atol=1e-5)


def test_drop_path_reaches_the_encoder():
    encoder = EncoderConfig(TransformerConfig(32, 2, 4, drop_path=0.9), patch=8)
    module = make_backbone(BackboneConfig("vit", encoder), FLOAT32, (2, 4, 4))
    rngs = {"drop_path": jax.random.key(0)}
    trained = module.apply(variables("video_vit"), VIDEO, True, rngs=rngs)
    assert not np.allclose(trained, apply("video_vit")(variables("video_vit"), VIDEO, False))


@pytest.mark.parametrize("name", CNNS)
def test_a_frames_features_depend_on_no_other_frame(name):
    tokens = apply(name)(variables(name), VIDEO, True)
    changed = apply(name)(variables(name), VIDEO.at[0, 1].set(0.0), True)
    differs = (abs(tokens - changed) > 1e-4).any(axis=-1)
    expected = np.zeros((2, 4), bool)
    expected[0, 1] = True
    np.testing.assert_array_equal(differs, expected)


@pytest.mark.parametrize("name", CNNS)
def test_statistics_of_a_cnn_stay_as_they_are_in_finetuning(name):
    def train(variables):
        return backbone(name).apply(variables, VIDEO, True, mutable=["batch_stats"])

    tokens, state = jax.jit(train)(variables(name))
    jax.tree.map(
        np.testing.assert_array_equal, state["batch_stats"], variables(name)["batch_stats"]
    )
    np.testing.assert_allclose(tokens, apply(name)(variables(name), VIDEO, False), atol=1e-5)


@pytest.mark.parametrize("name", CNNS)
def test_a_cnns_tokens_are_the_means_of_its_maps(name):
    """The CNN takes the same variables, so that a weight file's tree fits both."""
    video = jnp.concatenate([VIDEO, VIDEO[:, ::-1]], axis=2)  # two rows in a ResNet's map
    cnn = CNNS[name][0](jnp.float32)
    maps = jax.jit(cnn.apply)(variables(name), video.reshape(-1, *video.shape[2:]))
    tokens = apply(name)(variables(name), video, False)
    np.testing.assert_allclose(tokens, maps.mean(axis=(1, 2)).reshape(2, 4, -1), atol=1e-5)


def test_bgr_gives_the_cnn_unnormalised_values_with_blue_first():
    cnn = CNNS["efficientvit_m5"][0](jnp.float32)
    unnormalised = jnp.asarray(PIXELS[0, ..., ::-1] / 255, jnp.float32)
    expected = jax.jit(cnn.apply)(variables("gsvit"), unnormalised)
    tokens = apply("gsvit")(variables("gsvit"), VIDEO[:1], False)
    np.testing.assert_allclose(tokens[0], expected.mean(axis=(1, 2)), atol=1e-4)


@pytest.mark.parametrize("name", CONFIGS)
def test_variables_find_their_places_on_a_mesh(name):
    mesh = make_mesh(MeshConfig(data=2, fsdp=2, model=2))
    boxed = jax.eval_shape(lambda: backbone(name).init(jax.random.key(0), VIDEO, False))
    shardings = state_shardings(boxed, mesh)
    assert jax.tree.structure(shardings) == jax.tree.structure(unboxed(boxed))


@pytest.mark.parametrize(
    "wrong",
    [
        {"architecture": "resnet18"},
        {"architecture": "vit"},
        {"architecture": "resnet50", "encoder": VIDEO_VIT},
        {"architecture": "efficientvit_m5", "pixels": "rgb"},
        {"architecture": "vit", "encoder": VIDEO_VIT, "pixels": "bgr"},
    ],
    ids=str,
)
def test_configurations_that_cannot_be(wrong):
    with pytest.raises(ValueError):
        BackboneConfig(**wrong)
