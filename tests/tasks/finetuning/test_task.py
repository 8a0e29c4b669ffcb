"""The finetuning task: golden numbers, and what is trained by mode."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.linen import unbox

from surgvista_jax.config import build, load_config
from surgvista_jax.data.batches.samples import labelled_samples
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.models.patches import normalise
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.finetuning.labels import Labels
from surgvista_jax.tasks.finetuning.start import starting_point
from surgvista_jax.tasks.finetuning.task import make_finetuning
from surgvista_jax.training.optim import OptimConfig, decays, layer_scales, make_optimizer
from surgvista_jax.weights import tables
from surgvista_jax.weights.files.write import flat, to_theirs
from tests.support.finetune_golden import FINETUNED, load_classifier
from tests.support.finetune_run import make_config, make_dataset
from tests.support.places import GOLDEN


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return make_dataset(tmp_path_factory.mktemp("colours") / "data")


@pytest.fixture
def make(folder, tmp_path):
    """A task of the tiny configuration, with overrides."""

    def task(*overrides, dataset=folder):
        config_file = make_config(tmp_path / "config.py", dataset)
        words = [f"--config.{word}" for word in overrides]
        config = build(FinetuneConfig, load_config(str(config_file), FinetuneConfig, words))
        start = starting_point(config)
        read = read_dataset(dataset)
        label = labelled_samples(read.split("train"), start.clip).label
        return make_finetuning(config, start.model, start.clip, read, label)

    return task


@pytest.mark.parametrize("name", FINETUNED)
def test_agrees_with_the_reference(name, tmp_path):
    golden = load_classifier(name, tmp_path)
    task, params, arrays = golden.task, golden.params, golden.arrays

    def loss(params):
        pixels = normalise(jnp.asarray(arrays["frames_uint8"]), jnp.dtype("float32"))
        tokens = task.classifier.backbone.tokens(params, pixels)
        features, logits, _ = task.classifier.classify(params, tokens)
        return task.labels.loss(logits, None, golden.target)[0], (features, logits)

    grad = jax.jit(jax.value_and_grad(loss, has_aux=True))
    (value, (features, logits)), grads = grad(params)
    np.testing.assert_allclose(features, arrays["features"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(logits, arrays["logits"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(value, arrays["loss_label_smoothing_0p1"], rtol=1e-5)

    # Compared under their names: a key's bias, which changes nothing, is a part of theirs.
    found = to_theirs(flat(grads), tables.find(golden.table), golden.config)
    assert found.keys() == golden.grads.keys()
    for key, wanted in golden.grads.items():
        scale = np.abs(wanted).max()
        np.testing.assert_allclose(found[key], wanted, rtol=1e-4, atol=1e-4 * scale, err_msg=key)


def test_layers_learn_and_decay_as_in_the_reference():
    golden = json.loads((GOLDEN / "layer_decay.json").read_text())
    depth = golden["depth"]
    block = {
        "attention_norm": {"scale": "norm1.weight", "bias": "norm1.bias"},
        "attention": {
            "qkv_kernel": "attn.qkv.weight",
            "q_bias": "attn.q_bias",
            "v_bias": "attn.v_bias",
            "out_kernel": "attn.proj.weight",
            "out_bias": "attn.proj.bias",
        },
        "attention_scale": "gamma_1",
        "mlp_norm": {"scale": "norm2.weight", "bias": "norm2.bias"},
        "mlp": {
            "up": {"kernel": "mlp.fc1.weight", "bias": "mlp.fc1.bias"},
            "down": {"kernel": "mlp.fc2.weight", "bias": "mlp.fc2.bias"},
        },
        "mlp_scale": "gamma_2",
    }
    names = {
        "backbone": {
            "patch_embedding": {
                "kernel": "patch_embed.proj.weight",
                "bias": "patch_embed.proj.bias",
            },
            "transformer": {"blocks": block},
        },
        "norm": {"scale": "fc_norm.weight", "bias": "fc_norm.bias"},
        "head": {"kernel": "head.weight", "bias": "head.bias"},
    }
    inside = {name: True for name in jax.tree.leaves(block)}
    params = jax.tree.map(lambda name: jnp.ones((depth, 3) if name in inside else (3,)), names)
    scales = layer_scales(params, golden["layer_decay"])
    checked = 0
    for path, name in jax.tree_util.tree_leaves_with_path(names):
        scale, decayed = _at(scales, path), _at(decays(params), path)
        for layer in range(depth if name in inside else 1):
            full = f"blocks.{layer}.{name}" if name in inside else name
            wanted = golden["parameters"][full]
            np.testing.assert_allclose(np.ravel(scale)[layer], wanted["lr_scale"], rtol=1e-6)
            assert decayed == wanted["weight_decay"], full
            checked += 1
    assert checked == len(golden["parameters"])


def _at(tree, path):
    for entry in path:
        tree = tree[entry.key]
    return tree


def test_the_optimizer_scales_whole_updates_by_layer(make):
    params = unbox(make().init_trained())
    grads = jax.tree.map(jnp.ones_like, params)
    flat, layered = (
        make_optimizer(OptimConfig(layer_decay=decay, weight_decay=0.1)) for decay in (1.0, 0.75)
    )
    plain, _ = flat.update(grads, flat.init(params), params)
    scaled, _ = layered.update(grads, layered.init(params), params)
    jax.tree.map(
        lambda found, update, scale: np.testing.assert_allclose(found, update * scale, rtol=1e-6),
        scaled,
        plain,
        layer_scales(params, 0.75),
    )


@pytest.mark.parametrize(
    ("mode", "trained"),
    [
        ("full", {"backbone", "norm", "head"}),
        ("attentive", {"pool", "norm", "head"}),
        ("lora", {"adapters", "norm", "head"}),
    ],
)
def test_what_is_frozen_has_no_moments(make, mode, trained):
    task = make(f"mode={mode}")
    params = unbox(task.init_trained())
    assert set(params) == trained
    assert set(task.init_frozen()) == (set() if mode == "full" else {"backbone"})
    moments = jax.tree.leaves(make_optimizer(task.config.optim).init(params))
    kept = sum(leaf.size for leaf in moments if leaf.ndim)
    assert kept == 2 * sum(leaf.size for leaf in jax.tree.leaves(params))
    whole = task.whole(params, unbox(task.init_frozen()))
    assert jax.tree.structure(whole) == jax.tree.structure(unbox(task.init_params()))


def test_fresh_adapters_change_nothing_and_trained_ones_do(make):
    task = make("mode=lora", "lora.kernels=qkv,out,up,down")
    trained, frozen = unbox(task.init_trained()), unbox(task.init_frozen())
    jax.tree.map(
        np.testing.assert_array_equal, task.whole(trained, frozen)["backbone"], frozen["backbone"]
    )
    moved = jax.tree.map(lambda x: x + 0.1, trained["adapters"])
    whole = task.whole({**trained, "adapters": moved}, frozen)["backbone"]
    kernel = "transformer.blocks.mlp.up.kernel"
    for layer in range(2):
        product = moved[kernel]["down_kernel"][layer] @ moved[kernel]["up_kernel"][layer]
        np.testing.assert_allclose(
            whole["transformer"]["blocks"]["mlp"]["up"]["kernel"][layer],
            frozen["backbone"]["transformer"]["blocks"]["mlp"]["up"]["kernel"][layer]
            + task.config.lora.alpha / 2 * product,
            rtol=1e-5,
        )
    np.testing.assert_array_equal(
        whole["patch_embedding"]["kernel"], frozen["backbone"]["patch_embedding"]["kernel"]
    )


def test_component_heads_stand_beside_the_class_head(make):
    labels = Labels(("",) * 100, "multi", components="cholect50")
    params = unbox(dataclasses.replace(make(), labels=labels).init_params())
    assert params["components"]["kernel"].shape == (32, 6 + 10 + 15)
    assert params["head"]["kernel"].shape == (32, 100)


def test_a_frozen_backbone_costs_its_forward_pass_alone(make):
    (full,), (frozen,) = (make(f"mode={m}").flops_per_clip.items() for m in ("full", "attentive"))
    assert full == ("mfu", 3 * frozen[1])


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["head.pool=class"], "no class token"),
        (["clip.size=40"], "config.clip"),
        (["head.components=cholect50"], "100 triplets"),
        (["mode=partial"], "mode='partial'"),
        (["init="], "config.init is empty"),
    ],
)
def test_parts_that_do_not_fit_are_named(make, overrides, said):
    with pytest.raises(UserError, match=said):
        make(*overrides)
