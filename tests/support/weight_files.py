"""Files of weights: tiny models under the names of every table, with random numbers."""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from surgvista_jax.models.backbones import BackboneConfig
from surgvista_jax.models.layers import TransformerConfig
from surgvista_jax.models.masked_autoencoder import MaskedAutoencoderConfig
from surgvista_jax.models.video_vit import EncoderConfig
from surgvista_jax.weights import tables
from surgvista_jax.weights.kinds import ClassifierConfig, StudentConfig
from surgvista_jax.weights.names.entries import Entry
from surgvista_jax.weights.names.table import Table

GRID = (2, 2)  # patches of a learned table of positions
HEADS = {"encoder": 2, "pixel_decoder": 1, "feature_decoder": 4}
# The option that says them.
GIVEN = "--heads=" + ",".join(f"{part}={number}" for part, number in HEADS.items())
_SEPARABLE = ("surgvista", "surgvista_finetuned", "mvd", "mvd_finetuned")
_STRETCHED = ("umt", "umt_finetuned")
_ONE_FRAME = (*_STRETCHED, "frames_finetuned", "endossl_finetuned")


def _sizes(bias: str, depth: int = 3, part: str = "encoder", width: int = 32) -> TransformerConfig:
    scale = 0.1 if bias == "qkv" else 0.0  # both forms are to be met
    return TransformerConfig(
        width, depth, HEADS[part], mlp_ratio=2.0, attention_bias=bias, layer_scale=scale
    )


def tiny_config(table: Table, bias: str = "qv"):
    """A small model of the table's family."""
    if table.kind == "cnn":
        residual = table.name in ("resnet50", "selfsupsurg")
        pixels = "bgr" if table.name == "gsvit" else "imagenet"
        return BackboneConfig("resnet50" if residual else "efficientvit_m5", pixels=pixels)
    if table.kind == "teacher":
        return EncoderConfig(
            _sizes("qkv"), tubelet=1, patch=4, positions="learned", class_token=True, norm=False
        )
    if table.name in ("vit", "vit_hf") or table.variant_of in ("vit", "vit_hf"):
        return EncoderConfig(
            _sizes("qkv"),
            tubelet=1,
            patch=4,
            positions="learned",
            class_token=True,
            class_position=True,
        )
    positions = "separable" if table.name in _SEPARABLE else "flat"
    encoder = EncoderConfig(
        _sizes("qkv" if table.name == "endossl_finetuned" else bias),
        tubelet=1 if table.name in _ONE_FRAME else 2,
        patch=4,
        positions="stretched" if table.name in _STRETCHED else positions,
        norm=table.kind != "classifier" and table.name != "videomae2",
    )
    if table.kind == "encoder":
        return encoder
    if table.kind == "classifier":
        return ClassifierConfig(encoder, 5)
    pixel = _sizes(bias, 2, "pixel_decoder", 16)
    feature = _sizes(bias, 1, "feature_decoder", 64) if table.name == "surgvista" else pixel
    model = MaskedAutoencoderConfig(
        encoder.transformer, pixel, feature, 2, 4, positions=encoder.positions
    )
    return StudentConfig(model, 24 if table.name == "surgvista" else 0)


def random_arrays(entries: list[Entry], seed: int = 0) -> dict[str, np.ndarray]:
    """Random float32 arrays under the names that the entries ask for."""
    rng = np.random.default_rng(seed)
    slots = {name: 1 for e in entries if len(e.paths) == 2 for name in e.names}
    arrays = {}
    for entry in entries:
        for name, shape in entry.expected.items():
            table = GRID[0] * GRID[1] + slots.get(name, 0)
            shape = tuple(table if size is None else size for size in shape)
            arrays[name] = rng.standard_normal(shape, np.float32)
    return arrays


def write(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Writes arrays in the format that the suffix says; `.pth` under the key "model"."""
    if path.suffix == ".safetensors":
        save_file(arrays, path)
    elif path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        import torch

        tree = {name: torch.from_numpy(array) for name, array in arrays.items()}
        torch.save({"model": tree, "epoch": 3}, path)


def write_tiny(name: str, path: Path, prefix: str = "") -> dict[str, np.ndarray]:
    """Writes a small file under a table's names, `prefix` before each; returns its arrays."""
    table = tables.find(name)
    arrays = random_arrays(table.entries(tiny_config(table)))
    write(path, {prefix + key: array for key, array in arrays.items()})
    return arrays
