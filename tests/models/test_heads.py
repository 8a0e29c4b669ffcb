"""What does a classifier see of a backbone's tokens, and what of it is random in training alone?"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.linen import unbox

from surgvista_jax.models.heads import AttentivePool, Head, HeadConfig, pool_tokens
from surgvista_jax.models.layers import ComputeConfig

FLOAT32 = ComputeConfig(dtype="float32")
CONFIG = HeadConfig(dropout=0.5, heads=2)
TOKENS = jax.random.normal(jax.random.key(1), (3, 6, 8))


def made(head, tokens=TOKENS):
    """A head and its parameters, moved away from where they start."""
    params = unbox(head.init(jax.random.key(0), tokens, False))
    rng = np.random.default_rng(0)
    return head, jax.tree.map(
        lambda leaf: leaf + 0.3 * rng.normal(size=leaf.shape).astype(np.float32), params
    )


def test_pools_by_definition():
    np.testing.assert_allclose(pool_tokens(TOKENS, "mean", False), TOKENS.mean(1), rtol=1e-5)
    np.testing.assert_allclose(pool_tokens(TOKENS, "mean", True), TOKENS[:, 1:].mean(1), rtol=1e-5)
    np.testing.assert_array_equal(pool_tokens(TOKENS, "class", True), TOKENS[:, 0])
    assert pool_tokens(TOKENS.astype(jnp.bfloat16), "mean", False).dtype == jnp.float32
    with pytest.raises(ValueError, match="class token"):
        pool_tokens(TOKENS, "class", False)


def test_a_head_is_norm_and_linear_layer_of_the_mean():
    head, variables = made(Head(CONFIG, FLOAT32, 5, num_components=4))
    features, logits, components = head.apply(variables, TOKENS, False)
    mean = np.asarray(TOKENS, np.float64).mean(1)
    wanted = (mean - mean.mean(1, keepdims=True)) / np.sqrt(mean.var(1, keepdims=True) + 1e-6)
    params = variables["params"]
    wanted = wanted * params["norm"]["scale"][None] + params["norm"]["bias"][None]
    np.testing.assert_allclose(features, wanted, rtol=1e-4, atol=1e-5)
    for found, name in ((logits, "head"), (components, "components")):
        layer = params[name]
        np.testing.assert_allclose(
            found, wanted @ layer["kernel"] + layer["bias"][None], rtol=1e-4, atol=1e-5
        )
    assert logits.shape == (3, 5) and components.shape == (3, 4)


def test_without_a_norm_features_are_the_mean():
    head, variables = made(Head(CONFIG, FLOAT32, 5, norm=False))
    features, _, components = head.apply(variables, TOKENS, False)
    np.testing.assert_allclose(features, TOKENS.mean(1), rtol=1e-5)
    assert components is None and set(variables["params"]) == {"head"}


def test_the_products_of_a_head_are_in_full_precision_everywhere():
    """A GPU would take TF32 for float32, unless it is told."""
    head, variables = made(Head(CONFIG, FLOAT32, 5, num_components=4))
    lowered = jax.jit(lambda v, x: head.apply(v, x, False)).lower(variables, TOKENS).as_text()
    products = [line for line in lowered.splitlines() if "dot_general" in line]
    assert len(products) == 2 and all("[HIGHEST, HIGHEST]" in line for line in products)


def test_dropout_in_training_alone():
    head, variables = made(Head(CONFIG, FLOAT32, 5))

    def logits(train, seed=0):
        return head.apply(variables, TOKENS, train, rngs={"dropout": jax.random.key(seed)})[1]

    np.testing.assert_array_equal(logits(False, 0), logits(False, 1))
    assert (logits(True, 0) != logits(True, 1)).any()
    # Its mean over draws is what is there without it.
    drawn = jax.vmap(lambda seed: logits(True, seed))(jnp.arange(4000))
    np.testing.assert_allclose(drawn.mean(0), logits(False), atol=0.15)
    none = dataclasses.replace(head, config=dataclasses.replace(CONFIG, dropout=0.0))
    np.testing.assert_array_equal(none.apply(variables, TOKENS, True)[1], logits(False))


def test_half_precision_tokens_are_classified_in_float32():
    head, variables = made(Head(CONFIG, ComputeConfig(dtype="bfloat16"), 5))
    outputs = head.apply(variables, TOKENS.astype(jnp.bfloat16), False)
    assert outputs[0].dtype == outputs[1].dtype == jnp.float32


def test_an_attentive_pool_knows_no_order():
    pool, variables = made_pool()
    found = pool.apply(variables, TOKENS)
    assert found.shape == (3, 8)
    shuffled = TOKENS[:, np.array([4, 2, 0, 5, 1, 3])]
    np.testing.assert_allclose(pool.apply(variables, shuffled), found, rtol=1e-4, atol=1e-5)
    # Nor does a clip know of another, and every token counts.
    np.testing.assert_allclose(pool.apply(variables, TOKENS[1:2]), found[1:2], rtol=1e-4, atol=1e-5)
    for token in range(TOKENS.shape[1]):
        changed = pool.apply(variables, TOKENS.at[:, token].multiply(-1))
        assert (np.abs(changed - found).max(1) > 1e-4).all()


def made_pool():
    pool = AttentivePool(2, FLOAT32)
    params = unbox(pool.init(jax.random.key(0), TOKENS))
    rng = np.random.default_rng(0)
    return pool, jax.tree.map(
        lambda leaf: leaf + 0.3 * rng.normal(size=leaf.shape).astype(np.float32), params
    )


def test_an_attentive_pool_agrees_with_its_definition():
    """Written out in float64, head by head."""
    pool, variables = made_pool()
    p = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), variables["params"])

    def linear(x, name):
        return x @ p[name]["kernel"] + p[name]["bias"]

    def norm(x, name):
        x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
        return x * p[name]["scale"] + p[name]["bias"]

    for clip, found in zip(
        np.asarray(TOKENS, np.float64), pool.apply(variables, TOKENS), strict=True
    ):
        x = norm(clip, "token_norm")
        asked, keys, values = (
            linear(p["query"], "query_projection"),
            linear(x, "key_projection"),
            linear(x, "value_projection"),
        )
        picked = []
        for head in (slice(0, 4), slice(4, 8)):
            match = np.exp(keys[:, head] @ asked[head] / np.sqrt(4))
            picked.append(match @ values[:, head] / match.sum())
        x = p["query"] + linear(np.concatenate(picked), "output")
        hidden = norm(x, "mlp_norm") @ p["mlp"]["up"]["kernel"] + p["mlp"]["up"]["bias"]
        gelu = np.asarray(jax.nn.gelu(hidden, approximate=False))
        wanted = x + gelu @ p["mlp"]["down"]["kernel"] + p["mlp"]["down"]["bias"]
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-4)


def test_attentive_heads_pool_by_their_query_whatever_the_pool_is_called():
    head, variables = made(Head(CONFIG, FLOAT32, 5, attentive=True, norm=False))
    pool = AttentivePool(2, FLOAT32)
    features, _, _ = head.apply(variables, TOKENS, False)
    own = {"params": variables["params"]["pool"]}
    np.testing.assert_allclose(features, pool.apply(own, TOKENS), rtol=1e-5)


@pytest.mark.parametrize("wrong", [{"pool": "max"}, {"dropout": 1.0}, {"heads": 0}])
def test_settings_that_make_no_sense(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        HeadConfig(**wrong)
