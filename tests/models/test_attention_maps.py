"""Are the shares that are shown those that the model computes with?"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.linen import unbox

from surgvista_jax.models import layers
from surgvista_jax.models.attention_maps import (
    block_shares,
    pool_shares,
    projections,
    rollout,
    shares,
)
from surgvista_jax.models.backbones import BackboneConfig, make_backbone
from surgvista_jax.models.heads import AttentivePool
from surgvista_jax.models.layers import ComputeConfig, TransformerConfig
from surgvista_jax.models.video_vit import EncoderConfig

FLOAT32 = ComputeConfig(dtype="float32")
SIZES = TransformerConfig(32, 3, 2, attention_bias="qv", layer_scale=0.5)
VIDEO = jax.random.normal(jax.random.key(1), (2, 4, 8, 8, 3))


def moved(params):
    """Away from where parameters start, so that no bias is 0."""
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda x: x + rng.normal(0, 0.2, x.shape).astype(np.float32), unbox(params))


def made(**changes):
    config = EncoderConfig(SIZES, patch=4, **changes)
    backbone = make_backbone(BackboneConfig(encoder=config), FLOAT32, (2, 2, 2))
    params = jax.jit(lambda key: backbone.init(key, VIDEO, False))(jax.random.key(0))
    return config, moved(params)["params"]


@pytest.mark.parametrize("bias", ["none", "qv", "qkv"])
def test_shares_and_values_give_what_the_module_gives(bias):
    sizes = dataclasses.replace(SIZES, attention_bias=bias)
    module, x = (
        layers.Attention(sizes, jnp.float32),
        jax.random.normal(jax.random.key(2), (2, 5, 32)),
    )
    params = moved(module.init(jax.random.key(0), x, False))["params"]
    query, key, value = projections(sizes, params, x)
    mixed = jnp.einsum("bhqk,bkhd->bqhd", shares(query, key), value).reshape(2, 5, 32)
    found = mixed @ params["out_kernel"].reshape(32, 32) + params["out_bias"][None, None]
    wanted = module.apply({"params": params}, x, False)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def test_the_shares_of_each_block_are_those_of_the_whole_model(monkeypatch):
    """They are caught on their way through it, unrolled, so that each block is met in its turn."""
    config, params = made(class_token=True, positions="learned")
    shown, inner = [], layers.attend

    def attend(query, key, value, **options):
        jax.debug.callback(lambda found: shown.append(np.asarray(found)), shares(query, key))
        return inner(query, key, value, **options)

    unrolled = make_backbone(
        BackboneConfig(encoder=config), dataclasses.replace(FLOAT32, unroll=True), (2, 2, 2)
    )
    with monkeypatch.context() as patched:
        patched.setattr(layers, "attend", attend)
        jax.jit(lambda params: unrolled.apply({"params": params}, VIDEO, False))(params)
        jax.effects_barrier()
    assert len(shown) == 3

    def of_blocks(params):
        return [block_shares(config, FLOAT32, params, VIDEO, block) for block in range(3)]

    met, paths = [], np.eye(9)[None]
    for found in jax.jit(of_blocks)(params):
        paths = (0.5 * found.mean(1) + 0.5 * np.eye(9)[None]) @ paths
        np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-5)
        met += [k for k, one in enumerate(shown) if np.allclose(found, one, rtol=1e-4, atol=1e-5)]
    assert sorted(met) == [0, 1, 2]  # callbacks come in any order
    rolled = jax.jit(lambda params: rollout(config, FLOAT32, params, VIDEO))(params)
    np.testing.assert_allclose(rolled, paths, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(rolled.sum(-1), 1, rtol=1e-5)


def test_shares_of_a_pool_give_what_it_picks():
    pool, tokens = AttentivePool(2, FLOAT32), jax.random.normal(jax.random.key(3), (2, 5, 8))
    params = moved(jax.jit(pool.init)(jax.random.key(0), tokens))["params"]
    found = pool_shares(2, FLOAT32, params, tokens)
    np.testing.assert_allclose(found.sum(-1), 1, rtol=1e-5)
    keep = {"capture_intermediates": True, "mutable": ["intermediates"]}
    _, kept = jax.jit(lambda params: pool.apply({"params": params}, tokens, **keep))(params)
    kept = kept["intermediates"]
    value = kept["value_projection"]["__call__"][0].reshape(2, 5, 2, 4)
    mixed = jnp.einsum("bhn,bnhd->bhd", found, value).reshape(2, 8)
    output = params["output"]
    wanted = kept["output"]["__call__"][0]
    np.testing.assert_allclose(
        mixed @ output["kernel"] + output["bias"][None], wanted, rtol=1e-4, atol=1e-5
    )
