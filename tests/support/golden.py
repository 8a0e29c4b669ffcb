"""The golden pretraining steps under our names: parameters before and after, gradients, outputs."""

import dataclasses
import json
from pathlib import Path

import numpy as np

from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.data.batches.masking import MaskConfig
from surgvista_jax.models.image_vit import TeacherConfig
from surgvista_jax.models.layers import ComputeConfig, TransformerConfig
from surgvista_jax.models.masked_autoencoder import MaskedAutoencoderConfig
from surgvista_jax.tasks.pretraining.config import DataConfig, FigureConfig, PretrainConfig
from surgvista_jax.tasks.pretraining.losses import ObjectiveConfig
from surgvista_jax.tasks.pretraining.task import Pretraining, make_pretraining
from surgvista_jax.training.budget import BudgetConfig
from surgvista_jax.training.checkpoint import CheckpointConfig
from surgvista_jax.training.loop import LoopConfig
from surgvista_jax.training.optim import OptimConfig
from surgvista_jax.training.partition import MeshConfig
from surgvista_jax.weights.choosing import choose, known_heads
from surgvista_jax.weights.files.read import SourceFile
from surgvista_jax.weights.files.stored import Stored
from surgvista_jax.weights.kinds import StudentConfig
from surgvista_jax.weights.loading import read_matched
from tests.support.places import GOLDEN

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
    with np.load(GOLDEN / f"{name}.npz") as file:
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
    student = StudentConfig(model, settings["teacher_dim"])
    grads = part(arrays, "grad/")
    stepped = part(arrays, "student/")
    before = {name: _undo_adamw(stepped[name], grads[name], settings) for name in grads}
    return GoldenStep(
        arrays,
        model,
        teacher,
        objective,
        settings,
        params=imported(before, "surgvista", student),
        stepped=imported(stepped, "surgvista", student),
        grads=imported(grads, "surgvista", student),
        teacher_params=imported(part(arrays, "teacher/"), "endossl", teacher.encoder),
    )


def part(arrays: dict, prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose names start with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in arrays.items() if k.startswith(prefix)}


def _undo_adamw(after: np.ndarray, grad: np.ndarray, settings: dict) -> np.ndarray:
    """The first AdamW step moves by lr * g / (|g| + eps), after shrinking by lr * decay."""
    optimizer = settings["optimizer"]
    grad = grad.astype(np.float64)
    moved = after + optimizer["lr"] * grad / (np.abs(grad) + optimizer["eps"])
    decay = optimizer["weight_decay"] if after.ndim > 1 else 0.0
    return (moved / (1 - optimizer["lr"] * decay)).astype(np.float32)


def imported(arrays: dict[str, np.ndarray], table: str, config) -> dict:
    """The parameters of our model of that configuration, from arrays under torch's names."""
    stored = {
        name: Stored(array.shape, array.dtype.name, lambda array=array: array)
        for name, array in arrays.items()
    }
    source = SourceFile(Path("memory"), stored, "")
    heads = known_heads(config)
    match = choose(source, table, expect=lambda kind, found: config, heads=heads)
    match.require()
    return read_matched(source, match)[0]


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
