"""With the same random weights, read from a file, do our CNNs compute what timm's compute?"""

import functools

import jax
import numpy as np
import pytest

from surgvista_jax.models.backbones import make_backbone
from surgvista_jax.models.layers import ComputeConfig
from surgvista_jax.weights import tables
from surgvista_jax.weights.loading import load_backbone

timm = pytest.importorskip("timm")
torch = pytest.importorskip("torch")
save_file = pytest.importorskip("safetensors.torch").save_file


@functools.cache
def peer(name: str, **options):
    """timm's network, in evaluation mode, with nothing left at its first value."""
    torch.manual_seed(0)
    model = timm.create_model(name, **options)
    with torch.no_grad():
        for key, value in model.named_parameters():
            if value.ndim == 1 and key.endswith(".weight"):
                # Those of residual branches begin at zero; there are dozens, so they stay small.
                size = 1.0 if value.any() else 0.1
                value.uniform_(0.5 * size, 1.5 * size)
            elif key.endswith("attention_biases"):
                value.normal_()
            else:
                value.normal_(0, np.prod(value.shape[1:]) ** -0.5 if value.ndim > 1 else 0.5)
        # The stored statistics are those of a batch, else the signal drowns or overflows on its
        # way through so many layers.
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.momentum = 1.0
        model.train()(torch.as_tensor(frames(224)[0].transpose(0, 3, 1, 2).copy()))
    return model.eval()


@functools.cache
def peer_at_64():
    """The same for small images: its tables are cut to the offsets within smaller windows."""
    state = dict(peer("efficientvit_m5", img_size=224).state_dict())
    model = timm.create_model("efficientvit_m5", img_size=64)
    for key, value in model.state_dict().items():
        if key.endswith("attention_biases"):
            heads, count = value.shape
            large, side = (round(n**0.5) for n in (state[key].shape[1], count))
            square = state[key].reshape(heads, large, large)
            state[key] = square[:, :side, :side].reshape(heads, count)
    model.load_state_dict(state)
    return model.eval()


def frames(size: int) -> np.ndarray:
    """A clip of two frames of unlike colours, float32 [1, 2, H, W, 3] in [0, 1]."""
    rng = np.random.default_rng(1)
    colours = np.array([[0.8, 0.5, 0.1], [0.1, 0.4, 0.9]])[None, :, None, None]
    return (0.5 * colours + 0.5 * rng.uniform(size=(1, 2, size, size, 3))).astype(np.float32)


def theirs(model, video: np.ndarray) -> np.ndarray:
    """timm's features before its classifier, [1, T, D]."""
    images = torch.as_tensor(video[0].transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        features = model.forward_head(model.forward_features(images), pre_logits=True)
    return features.numpy()[None]


def ours(path, video: np.ndarray) -> np.ndarray:
    config, variables, _ = load_backbone(path)
    module = make_backbone(config, ComputeConfig("float32"), config.grid(*video.shape[1:4]))
    return np.asarray(jax.jit(module.apply, static_argnums=2)(variables, video, False))


def assert_same(actual: np.ndarray, expected: np.ndarray):
    assert abs(expected[:, 0] - expected[:, 1]).max() > 0.1  # so that 1e-4 means something
    assert abs(expected).max() < 100
    np.testing.assert_allclose(actual, expected, atol=1e-4)


def renamed(state: dict, old: str, new: str) -> dict:
    """A state dict under another table's names; the entries of both come in the same order."""
    pairs = zip(*(tables.find(name).entries(None) for name in (old, new)), strict=True)
    return {
        after: state[before]
        for one, other in pairs
        for before, after in zip(one.names, other.names, strict=True)
    }


def test_resnet50(tmp_path):
    model, path = peer("resnet50"), tmp_path / "model.safetensors"
    save_file(model.state_dict(), path)
    assert_same(ours(path, frames(64)), theirs(model, frames(64)))


def test_resnet50_as_vissl_saved_it(tmp_path):
    model, path = peer("resnet50"), tmp_path / "model.torch"
    state = model.state_dict()
    trunk = {f"_feature_blocks.{k}": v for k, v in state.items() if not k.startswith("fc.")}
    inside = {"trunk": trunk, "heads": {"0.clf.0.weight": torch.zeros(3, 3)}}
    torch.save({"phase_idx": 1, "classy_state_dict": {"base_model": {"model": inside}}}, path)
    assert_same(ours(path, frames(64)), theirs(model, frames(64)))


@pytest.mark.parametrize("size", [224, 256])
def test_efficientvit(size, tmp_path):
    """At 224 pixels maps are whole windows, or one; at 256 windows are filled up with zeros."""
    model, path = peer("efficientvit_m5", img_size=224), tmp_path / "model.safetensors"
    save_file(model.state_dict(), path)
    assert_same(ours(path, frames(size)), theirs(model, frames(size)))


def test_efficientvit_on_maps_smaller_than_its_windows(tmp_path):
    path = tmp_path / "model.safetensors"
    save_file(peer("efficientvit_m5", img_size=224).state_dict(), path)
    assert_same(ours(path, frames(64)), theirs(peer_at_64(), frames(64)))


def test_gsvit(tmp_path):
    """Its network sees values in [0, 1], blue first, where ours is given normalised RGB."""
    model, path = peer("efficientvit_m5", img_size=224), tmp_path / "GSViT.pth"
    state = renamed(model.state_dict(), "timm_efficientvit", "gsvit")
    state["decoder.fc.weight"] = torch.zeros(2, 3)
    torch.save(state, path)
    raw = frames(64)
    normalised = (raw - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    assert_same(ours(path, normalised), theirs(peer_at_64(), raw[..., ::-1]))
