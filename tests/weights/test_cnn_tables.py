"""The tables of CNNs name every parameter and statistic once, and take no other network for one."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import save_file

from surgvista_jax.errors import UserError
from surgvista_jax.models.backbones import CNNS, BackboneConfig
from surgvista_jax.weights import tables
from surgvista_jax.weights.loading import load_backbone
from tests.support.cnn_variables import random_variables

# The architecture of each table, and names that its checkpoints are known to have.
KNOWN = {
    "resnet50": (
        BackboneConfig("resnet50"),
        ("conv1.weight", "bn1.running_mean", "layer1.0.downsample.1.weight", "layer4.2.bn3.bias"),
    ),
    "selfsupsurg": (
        BackboneConfig("resnet50"),
        ("_feature_blocks.conv1.weight", "_feature_blocks.layer3.5.conv2.weight"),
    ),
    "gsvit": (
        BackboneConfig("efficientvit_m5", pixels="bgr"),
        (
            "evit.0.0.c.weight",
            "evit.1.0.mixer.m.attn.attention_biases",
            "evit.2.0.1.m.pw1.bn.running_var",
            "evit.2.1.se.fc1.bias",
            "evit.3.6.ffn1.m.pw2.c.weight",
        ),
    ),
    "efficientvit": (
        BackboneConfig("efficientvit_m5"),
        (
            "patch_embed.6.bn.weight",
            "blocks1.0.dw0.m.c.weight",
            "blocks3.3.mixer.m.attn.dws.3.c.weight",
        ),
    ),
    "timm_efficientvit": (
        BackboneConfig("efficientvit_m5"),
        ("patch_embed.conv4.bn.weight", "stages.1.downsample.patchmerge.conv2.conv.weight"),
    ),
}


def variables(config: BackboneConfig) -> dict:
    cnn = CNNS[config.architecture][0](jnp.float32)
    return random_variables(cnn, np.zeros((1, 64, 64, 3), np.float32))


def flat(variables: dict) -> dict[str, np.ndarray]:
    """By the paths that entries use: relative to the parameters."""
    leaves = jax.tree_util.tree_leaves_with_path(variables)
    paths = (jax.tree_util.keystr(path, simple=True, separator="/") for path, _ in leaves)
    return {k.removeprefix("params/"): v for k, (_, v) in zip(paths, leaves, strict=True)}


def state_dict(name: str) -> dict[str, np.ndarray]:
    """Random variables under a table's names, with what its files hold besides."""
    table, config = tables.find(name), KNOWN[name][0]
    leaves = flat(variables(config))
    state = {}
    for entry in table.entries(config):
        arrays = entry.transform.to_theirs(*(leaves[path] for path in entry.paths))
        state |= {k: np.ascontiguousarray(x) for k, x in zip(entry.names, arrays, strict=True)}
    counters = [k for k in state if k.endswith("running_var")]
    return state | {k.replace("running_var", "num_batches_tracked"): np.array(3) for k in counters}


@pytest.mark.parametrize("name", KNOWN)
def test_a_table_names_every_leaf_once_in_its_shape(name):
    config, known = KNOWN[name]
    entries = tables.find(name).entries(config)
    ours = [pair for e in entries for pair in zip(e.paths, e.our_shapes, strict=True)]
    assert len(ours) == len(dict(ours))
    assert dict(ours) == {path: leaf.shape for path, leaf in flat(variables(config)).items()}
    names = [name for e in entries for name in e.expected]
    assert len(names) == len(set(names)) and set(known) <= set(names)


@pytest.mark.parametrize("prefix", ["", "module."])
@pytest.mark.parametrize("name", KNOWN)
def test_a_file_gives_the_variables_back(name, prefix, tmp_path):
    if name == "selfsupsurg" and prefix:
        prefix = "classy_state_dict.base_model.model.trunk."
    path = tmp_path / "model.safetensors"
    save_file({prefix + key: value for key, value in state_dict(name).items()}, path)
    config, read, loaded = load_backbone(path)
    assert (config, loaded.table.name) == (KNOWN[name][0], name)
    jax.tree.map(np.testing.assert_array_equal, read, variables(config))


@pytest.mark.parametrize(
    "name, extra, says",
    [
        ("resnet50", "layer3.6.conv1.weight", "more than 6 blocks"),
        ("selfsupsurg", "_feature_blocks.layer1.3.conv1.weight", "more than 3 blocks"),
        ("gsvit", "evit.3.7.dw0.m.c.weight", "a block too many"),
    ],
)
def test_a_deeper_network_is_refused(name, extra, says, tmp_path):
    path = tmp_path / "model.safetensors"
    save_file(state_dict(name) | {extra: np.zeros((1, 1), np.float32)}, path)
    with pytest.raises(UserError, match=says):
        load_backbone(f"{name}:{path}")


def test_a_narrower_network_is_refused():
    """EfficientViT-M4 has 128 channels where M5 has 192."""
    shapes = {"patch_embed.6.c.weight": (128, 64, 3, 3)}
    with pytest.raises(UserError, match="128 channels"):
        tables.find("efficientvit").infer(shapes, None)


def test_names_of_another_network_are_refused():
    for name in KNOWN:
        with pytest.raises(UserError, match="missing"):
            tables.find(name).infer({"patch_embed.proj.weight": (768, 3, 16, 16)}, None)
