"""The golden pretraining steps under our names: parameters before and after, gradients, outputs."""

import dataclasses
import json
from pathlib import Path

import jax
import numpy as np

from surgvista_jax.data.clips import ClipConfig
from surgvista_jax.data.loader import LoaderConfig
from surgvista_jax.data.masking import MaskConfig
from surgvista_jax.models.image_vit import TeacherConfig
from surgvista_jax.models.layers import ComputeConfig, TransformerConfig
from surgvista_jax.models.masked_autoencoder import MaskedAutoencoderConfig
from surgvista_jax.objectives import ObjectiveConfig
from surgvista_jax.pretraining import (
    BudgetConfig,
    DataConfig,
    FigureConfig,
    PretrainConfig,
    Pretraining,
    make_pretraining,
)
from surgvista_jax.training.checkpoint import CheckpointConfig
from surgvista_jax.training.loop import LoopConfig
from surgvista_jax.training.optim import OptimConfig
from surgvista_jax.training.partition import MeshConfig

DATA = Path(__file__).parent / "data"
PRETRAINING = ("pretrain_tube", "pretrain_random_layerscale")


@dataclasses.dataclass
class GoldenStep:
    """One step of the reference; `params`, `stepped` and `grads` are trees of our names."""

    arrays: dict[str, np.ndarray]
    model: MaskedAutoencoderConfig
    teacher: TeacherConfig
    objective: ObjectiveConfig
    settings: dict
    params: dict
    stepped: dict
    grads: dict
    teacher_params: dict

    @property
    def batch(self) -> dict[str, np.ndarray]:
        mask = self.arrays["mask"]
        ids = [[np.flatnonzero(row == hidden) for row in mask] for hidden in (False, True)]
        visible_ids, hidden_ids = (np.array(rows, np.int32) for rows in ids)
        video = self.arrays["frames_uint8"]
        return {"video": video, "visible_ids": visible_ids, "hidden_ids": hidden_ids}


def load(name: str) -> GoldenStep:
    with np.load(DATA / f"{name}.npz") as file:
        arrays = dict(file)
    settings = json.loads(str(arrays["config_json"]))

    def stack(part: str, bias: str, layer_scale: float) -> TransformerConfig:
        sizes = (settings[f"{part}_{size}"] for size in ("dim", "depth", "heads"))
        return TransformerConfig(*sizes, attention_bias=bias, layer_scale=layer_scale)

    scale = settings["layer_scale_init"]
    model = MaskedAutoencoderConfig(
        encoder=stack("encoder", "qv", scale),
        pixel_decoder=stack("video_decoder", "qv", scale),
        feature_decoder=stack("image_decoder", "qv", scale),
        tubelet=settings["tubelet_size"],
        patch=settings["patch_size"],
    )
    teacher = TeacherConfig(stack("teacher", "qkv", 0.0), "random", settings["patch_size"])
    objective = ObjectiveConfig(
        pixel_weight=settings["video_loss_weight"],
        feature_weight=settings["image_loss_weight"],
        feature_loss={"SmoothL1": "smooth_l1", "L1": "l1"}[settings["feature_loss"]],
        normalise_features=settings["normalise_teacher_features"],
    )
    grads = _part(arrays, "grad/")
    stepped = _part(arrays, "student/")
    before = {name: _undo_adamw(stepped[name], grads[name], settings) for name in grads}
    return GoldenStep(
        arrays,
        model,
        teacher,
        objective,
        settings,
        params=_student(before, model),
        stepped=_student(stepped, model),
        grads=_student(grads, model),
        teacher_params=_teacher(_part(arrays, "teacher/"), teacher),
    )


def _part(arrays: dict, prefix: str) -> dict[str, np.ndarray]:
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _undo_adamw(after: np.ndarray, grad: np.ndarray, settings: dict) -> np.ndarray:
    """The first AdamW step moves by lr * g / (|g| + eps), after shrinking by lr * decay."""
    optimizer = settings["optimizer"]
    grad = grad.astype(np.float64)
    moved = after + optimizer["lr"] * grad / (np.abs(grad) + optimizer["eps"])
    decay = optimizer["weight_decay"] if after.ndim > 1 else 0.0
    return (moved / (1 - optimizer["lr"] * decay)).astype(np.float32)


def _linear(arrays: dict, name: str) -> dict:
    return {"kernel": arrays[f"{name}.weight"].T, "bias": arrays[f"{name}.bias"]}


def _norm(arrays: dict, name: str) -> dict:
    return {"scale": arrays[f"{name}.weight"], "bias": arrays[f"{name}.bias"]}


def _patch_embedding(arrays: dict) -> dict:
    weight = arrays["patch_embed.proj.weight"]
    weight = weight[:, :, None] if weight.ndim == 4 else weight  # an image has one frame
    kernel = weight.transpose(2, 3, 4, 1, 0).reshape(-1, len(weight))
    return {"kernel": kernel, "bias": arrays["patch_embed.proj.bias"]}


def _transformer(arrays: dict, prefix: str, config: TransformerConfig) -> dict:
    d, heads = config.width, config.heads

    def block(i: int) -> dict:
        name = f"{prefix}blocks.{i}."
        if config.attention_bias == "qkv":
            kernels = [arrays[f"{name}attn.{letter}.weight"].T for letter in "qkv"]
            biases = {f"{x}_bias": arrays[f"{name}attn.{x}.bias"] for x in "qkv"}
        else:
            kernels = np.split(arrays[f"{name}attn.qkv.weight"].T, 3, axis=1)
            biases = {f"{x}_bias": arrays[f"{name}attn.{x}_bias"] for x in "qv"}
        out = _linear(arrays, f"{name}attn.proj")
        params = {
            "attention": {
                "qkv_kernel": np.stack(kernels, 1).reshape(d, 3, heads, d // heads),
                **{key: bias.reshape(heads, -1) for key, bias in biases.items()},
                "out_kernel": out["kernel"].reshape(heads, d // heads, d),
                "out_bias": out["bias"],
            },
            "attention_norm": _norm(arrays, f"{name}norm1"),
            "mlp_norm": _norm(arrays, f"{name}norm2"),
            "mlp": {
                "up": _linear(arrays, f"{name}mlp.fc1"),
                "down": _linear(arrays, f"{name}mlp.fc2"),
            },
        }
        if config.layer_scale:
            params["attention_scale"] = arrays[f"{name}gamma_1"]
            params["mlp_scale"] = arrays[f"{name}gamma_2"]
        return params

    return {"blocks": jax.tree.map(lambda *x: np.stack(x), *map(block, range(config.depth)))}


def _student(arrays: dict, model: MaskedAutoencoderConfig) -> dict:
    def decoder(suffix: str, config: TransformerConfig) -> dict:
        return {
            "projection": _linear(arrays, f"down_{suffix}"),
            "mask_token": arrays[f"mask_token_{suffix}"][0, 0],
            "transformer": _transformer(arrays, f"decoder_{suffix}.", config),
            "norm": _norm(arrays, f"decoder_{suffix}.norm"),
            "head": _linear(arrays, f"decoder_{suffix}.head"),
        }

    return {
        "encoder": {
            "patch_embedding": _patch_embedding(arrays),
            "transformer": _transformer(arrays, "", model.encoder),
            "norm": _norm(arrays, "norm"),
        },
        "pixel_decoder": decoder("vid", model.pixel_decoder),
        "feature_decoder": decoder("img", model.feature_decoder),
    }


def _teacher(arrays: dict, config: TeacherConfig) -> dict:
    encoder = {
        "patch_embedding": _patch_embedding(arrays),
        "positions": arrays["pos_embed"][0],
        "class_token": arrays["cls_token"][0, 0],
        "transformer": _transformer(arrays, "", config.transformer),
    }
    return {"encoder": encoder}


def pretraining(golden: GoldenStep, **changes) -> Pretraining:
    """The golden models as our program builds them, in float32; `changes` are config fields."""
    arrays, settings = golden.arrays, golden.settings
    config = PretrainConfig(
        data=DataConfig(folder=""),
        budget=BudgetConfig(batch_size=len(arrays["mask"]), steps=1),
        model=golden.model,
        teacher=golden.teacher,
        clip=ClipConfig(num_frames=settings["num_frames"], stride=1, size=settings["image_size"]),
        mask=MaskConfig(kind=settings["mask_kind"], ratio=settings["mask_ratio"]),
        objective=golden.objective,
        optim=OptimConfig(),
        compute=ComputeConfig(dtype="float32"),
        loader=LoaderConfig(),
        mesh=MeshConfig(),
        checkpoint=CheckpointConfig(),
        loop=LoopConfig(),
        figure=FigureConfig(),
    )
    return make_pretraining(dataclasses.replace(config, **changes))
