"""A backbone and a head as one: what each gives, what is random, what does not matter."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.linen import unbox

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.inference.classifier import Backbone, Classifier
from surgvista_jax.models.backbones import BackboneConfig
from surgvista_jax.models.heads import HeadConfig
from surgvista_jax.models.layers import ComputeConfig, TransformerConfig
from surgvista_jax.models.video_vit import EncoderConfig

STACK = TransformerConfig(32, 2, 4, drop_path=0.5)
MODELS = {
    "video_vit": BackboneConfig("vit", EncoderConfig(STACK, tubelet=2, patch=8, norm=False)),
    "image_vit": BackboneConfig(
        "vit", EncoderConfig(STACK, tubelet=1, patch=8, positions="learned", class_token=True)
    ),
    "resnet50": BackboneConfig("resnet50"),
}
VIDEO = jnp.asarray(np.random.default_rng(0).integers(0, 256, (2, 4, 32, 32, 3), np.uint8))


def compose(name: str, **settings) -> Classifier:
    """A classifier of three classes."""
    backbone = Backbone(MODELS[name], ClipConfig(4, 1, 32), ComputeConfig(dtype="float32"))
    norm = not backbone.model.ends_with_norm
    return Classifier(backbone, HeadConfig(heads=4), 3, "single", norm=norm, **settings)


def drawn(init, seed: int) -> dict:
    """Random parameters."""
    return jax.jit(lambda key: unbox(init(key)))(jax.random.key(seed))


@functools.cache
def made(name: str) -> tuple[Classifier, dict]:
    return compose(name), drawn(compose(name).init, 0)


@pytest.mark.parametrize(
    ("name", "settings", "parts"),
    [
        ("video_vit", {}, {"backbone", "norm", "head"}),
        ("image_vit", {}, {"backbone", "head"}),
        ("image_vit", {"attentive": True}, {"backbone", "pool", "head"}),
        ("video_vit", {"num_components": 7}, {"backbone", "norm", "head", "components"}),
        ("resnet50", {}, {"backbone", "batch_stats", "head"}),
    ],
)
def test_parts_are_those_of_the_composition(name, settings, parts):
    classifier = compose(name, **settings)
    backbone, wanted = classifier.backbone, classifier.backbone.abstract_tokens()

    def run() -> tuple:
        params = unbox(classifier.init(jax.random.key(0)))
        tokens = backbone.tokens(params, backbone.pixels(VIDEO))
        assert (tokens.shape[1:], tokens.dtype) == (wanted.shape[1:], wanted.dtype)
        return params, classifier.classify(params, tokens)

    params, (features, logits, components) = jax.eval_shape(run)
    assert set(params) == parts
    assert features.shape == (2, backbone.model.width) and logits.shape == (2, 3)
    assert (components is None) == ("components" not in parts)


@pytest.mark.parametrize("name", ["video_vit", "image_vit"])
def test_of_video_is_what_its_steps_give_one_after_the_other(name):
    classifier, params = made(name)
    backbone = classifier.backbone
    features, logits, _ = classifier.classify(
        params, backbone.tokens(params, backbone.pixels(VIDEO))
    )
    np.testing.assert_array_equal(classifier.features(params, VIDEO), features)
    found = classifier.predict(params, VIDEO)
    np.testing.assert_array_equal(found, jax.nn.softmax(logits))
    several = dataclasses.replace(classifier, label_kind="multi")
    np.testing.assert_array_equal(several.predict(params, VIDEO), jax.nn.sigmoid(logits))
    if not classifier.norm:  # the head's linear layer sees the pooled tokens themselves
        np.testing.assert_array_equal(backbone.features(params, VIDEO, "mean"), features)


def test_a_head_is_drawn_apart_from_its_backbone():
    """Whatever head stands behind it, a seed gives the same backbone."""
    _, params = made("video_vit")
    other = drawn(compose("video_vit", attentive=True, num_components=7).init, 0)
    jax.tree.map(np.testing.assert_array_equal, other["backbone"], params["backbone"])
    another = drawn(compose("video_vit").init, 1)
    assert (another["head"]["kernel"] != params["head"]["kernel"]).any()


def test_only_training_is_random():
    classifier, params = made("video_vit")
    pixels = classifier.backbone.pixels(VIDEO)
    plain = classifier.backbone.tokens(params, pixels)

    @jax.jit
    def train(key: jax.Array) -> tuple:
        tokens = classifier.backbone.tokens(params, pixels, key)
        return tokens, classifier.classify(params, plain, key)[1]

    first, second = map(jax.random.key, (1, 2))
    evaluated = plain, classifier.classify(params, plain)[1]
    for one, again, other, sure in zip(
        train(first), train(first), train(second), evaluated, strict=True
    ):
        np.testing.assert_array_equal(one, again)
        assert (one != other).any() and (jnp.abs(one - sure) > 1e-3).any()


def test_a_seed_stays_the_parameters_that_it_has_always_been():
    """Those of earlier versions, which drew three keys from it."""
    classifier, params = made("video_vit")
    key = jax.random.split(jax.random.key(0), 3)[0]
    backbone = jax.jit(lambda: unbox(classifier.backbone.init(key)))()["backbone"]
    jax.tree.map(np.testing.assert_array_equal, params["backbone"], backbone)
