"""What will a study cost? Device-hours by the speeds that `surgvista bench plan` knows, and disk.

Speeds follow from operations, so that of small models and clips they are too good: their time goes
where no operations are.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple, cast

from surgvista_jax.facts.tasks import NONE
from surgvista_jax.models.flops import (
    FORWARD_AND_BACKWARD,
    mstcn_flops,
    student_flops,
    teacher_flops,
    transformer_flops,
)
from surgvista_jax.models.sizes import SIZES
from surgvista_jax.studies.cells import Backbone, Cell, Data, Pretraining
from surgvista_jax.studies.clips import Clips, clips_of
from surgvista_jax.studies.plan import Configs
from surgvista_jax.training.planning import rate_of

_FLOAT = 4  # bytes
_ADAM = 3  # copies of the parameters in a checkpoint: with both moments
# Multiply-adds of a frame of 224 pixels and parameters, by the models' papers.
_CNNS = {"resnet50": (4.1e9, 25.6e6, 2048), "efficientvit_m5": (0.52e9, 12.4e6, 384)}
_CLASSES = 10  # of a temporal head, which hardly count
_PIXELS = 3 * 2 * 16 * 16  # values of a usual tubelet


class Cost(NamedTuple):
    """Of a job; `hours` of one device, None where the data's size is not known; `disk` in bytes."""

    hours: float | None
    disk: float


class Network(NamedTuple):
    """A backbone as far as a plan needs to know it.

    Attributes:
        flops: of one clip, forward.
        parameters: how many.
        width: of its features.
    """

    flops: float
    parameters: float
    width: int


class Costs:
    """The costs of a study's parts on one device; each is computed once."""

    def __init__(self, configs: Configs, device: str):
        self._configs, self._device = configs, device
        self._clips: dict[tuple[str, bool], Clips | None] = {}

    def clips(self, data: Data, uniform: bool = False) -> Clips | None:
        key = data.name, uniform
        if key not in self._clips:
            self._clips[key] = clips_of(data, uniform)
        return self._clips[key]

    def sources(self) -> dict[str, str | None]:
        """Dataset -> how its size is known; None where it is not."""
        return {name: clips and clips.source for (name, _), clips in self._clips.items()}

    def pretraining(self, made: Pretraining) -> Cost:
        """Of a student."""
        values = _changed(self._configs(made.config), made.changes)
        flops, parameters = _of_student(values)
        budget, kept = values["budget"], values["checkpoint"]
        steps = budget.get("steps")
        if steps is None:
            frames = self._frames(made)
            steps = frames and budget["epochs"] * max(frames // budget["batch_size"], 1)
        each = _ADAM * _FLOAT * parameters
        every = kept.get("keep_every", 0)
        lasting = (steps or 0) // every if every else 0
        hours = steps and steps * budget["batch_size"] / self._rate("pretraining", flops) / 3600
        return Cost(hours, each * (kept.get("max_to_keep", 2) + lasting))

    def _frames(self, made: Pretraining) -> float | None:
        """Frames that a student sees in an epoch, each of which ends a clip."""
        values = _changed(self._configs(made.config), made.changes)["data"]
        root = Path(values.get("root") or "")
        named = [name.strip() for name in values["folder"].split(",") if name.strip()]
        folders = made.data or [
            Data(name=Path(name).name, task=NONE, folder=str(root / name)) for name in named
        ]
        total = 0.0
        for data in folders:
            if (clips := self.clips(data)) is None:
                return None
            total += clips.frames if values.get("split") is None else clips.training_frames
        return total

    def features(self, backbone: Backbone, data: Data) -> Cost:
        """Of what temporal heads see: a row for each frame."""
        clips, network = self.clips(data), self._network(backbone, data)
        if clips is None:
            return Cost(None, 0)
        hours = clips.frames / self._rate("prediction", network.flops) / 3600
        return Cost(hours, _FLOAT * clips.frames * network.width)

    def cell(self, cell: Cell, first: bool) -> Cost:
        """Of a cell.

        Args:
            first: of those that share what is computed once.
        """
        spec, changes = cell.config
        values = _changed(self._configs(spec), changes)
        if cell.mode == "temporal":
            return self._head(cell, values)
        network = self._network(cell.backbone, cell.data, cell)
        clips = self.clips(cell.data, _clip(values).get("sampling") == "uniform")
        best = _FLOAT * network.parameters
        if clips is None:
            return Cost(None, best)
        predicted = self._rate("prediction", network.flops)
        if cell.mode == "linear":
            seen = (clips.train + clips.selection + clips.test) if first else 0.0
            return Cost(seen / predicted / 3600, best + _FLOAT * seen * network.width)
        budget = values["budget"]
        steps = budget.get("steps")
        an_epoch = max(clips.train // budget["batch_size"], 1)
        if steps is None:
            steps = math.ceil(budget["epochs"] * an_epoch)
        backward = 1 if cell.mode == "attentive" else FORWARD_AND_BACKWARD
        trained = steps * budget["batch_size"] / self._rate("finetuning", backward * network.flops)
        times = steps / an_epoch / values["evaluation"].get("every_epochs", 1.0)
        looked = (times * clips.selection + clips.test) / predicted
        kept = values["checkpoint"].get("max_to_keep", 2) if cell.mode == "full" else 0
        return Cost((trained + looked) / 3600, best * (1 + _ADAM * kept))

    def _head(self, cell: Cell, values: Mapping[str, Any]) -> Cost:
        """Of a temporal head, which sees every frame of the videos in each epoch."""
        clips, width = self.clips(cell.data), self._network(cell.backbone, cell.data).width
        if clips is None:
            return Cost(None, 0)
        model = SimpleNamespace(**{"kernel_size": 3, **values["model"]})
        flops = mstcn_flops(cast(Any, model), width, _CLASSES)
        epochs = values["epochs"]
        trained = epochs * clips.train / self._rate("finetuning", FORWARD_AND_BACKWARD * flops)
        looked = (epochs * clips.selection + clips.test) / self._rate("prediction", flops)
        return Cost((trained + looked) / 3600, _FLOAT * (1 + _ADAM) * flops / 2)

    def _network(self, backbone: Backbone, data: Data, cell: Cell | None = None) -> Network:
        """A backbone on the clips of a dataset."""
        changes = cell.config[1] if cell else {**backbone.changes, **data.changes}
        values = _changed(self._configs(data.config), changes)
        clip = _clip(values)
        if backbone.size in _CNNS:
            adds, parameters, width = _CNNS[backbone.size]
            frames = (values.get("image_clip") or clip).get("num_frames", 8)
            return Network(2 * adds * frames, parameters, width)
        sizes: Mapping[str, Any] = SIZES[backbone.size]
        patch = 16
        start = backbone.start
        model = values.get("model")
        if not isinstance(start, str):
            made = _changed(self._configs(start.config), start.changes)
            sizes, patch = made["model"]["encoder"], made["model"].get("patch", 16)
        elif model and model.get("encoder"):
            sizes, patch = model["encoder"]["transformer"], model["encoder"].get("patch", 16)
        side = clip.get("size", 224) // patch
        tokens = clip.get("num_frames", 16) // 2 * side**2 or side**2
        pixels = _PIXELS * patch**2 / 16**2
        blocks = _blocks(sizes)
        flops = 2 * tokens * pixels * blocks.width + transformer_flops(blocks, tokens)
        return Network(flops, _parameters(blocks, pixels), blocks.width)

    def _rate(self, program: str, flops: float) -> float:
        return rate_of(program, self._device, flops, as_measured=False).clips_per_second


def _of_student(values: Mapping[str, Any]) -> tuple[float, float]:
    """Operations of a clip in pretraining, teacher included, and parameters that are trained."""
    model, clip, mask, teacher = (values.get(k) or {} for k in ("model", "clip", "mask", "teacher"))
    patch, tubelet = model.get("patch", 16), model.get("tubelet", 2)
    times, side = clip.get("num_frames", 16) // tubelet, clip.get("size", 224) // patch
    hidden = times * int(mask.get("ratio", 0.85) * side**2)
    pixels = 3 * tubelet * patch**2
    student = SimpleNamespace(
        encoder=_blocks(model["encoder"]),
        class_token=model.get("class_token", False),
        patch_values=pixels,
        pixel_decoder=_blocks(model["pixel_decoder"]),
        feature_decoder=_blocks(model["feature_decoder"]),
    )
    width = teacher["transformer"]["width"] if teacher else 0
    visible = times * side**2 - hidden
    masks = mask.get("masks_per_clip", 1)
    flops = FORWARD_AND_BACKWARD * masks * student_flops(cast(Any, student), visible, hidden, width)
    if teacher:
        slide = clip.get("slide", 1)
        blocks = _blocks(teacher["transformer"])
        expert = SimpleNamespace(patch=teacher["patch"], transformer=blocks)
        size = clip.get("size", 224)
        flops += teacher_flops(cast(Any, expert), times + slide - 1, size, size) // slide
    decoders = [student.pixel_decoder, *([student.feature_decoder] if teacher else [])]
    return flops, sum(_parameters(part, pixels) for part in (student.encoder, *decoders))


def _blocks(values: Mapping[str, Any]) -> Any:
    """The sizes of a transformer, as `models.flops` asks for them."""
    width = values["width"]
    mlp = int(width * values.get("mlp_ratio", 4.0))
    return SimpleNamespace(width=width, depth=values["depth"], mlp_width=mlp)


def _parameters(blocks: Any, pixels: float) -> float:
    d = blocks.width
    return blocks.depth * (4 * d**2 + 2 * d * blocks.mlp_width) + pixels * d


def _clip(values: Mapping[str, Any]) -> Mapping[str, Any]:
    return values.get("clip") or {}


def _changed(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration with dotted keys replaced."""
    found = {k: dict(v) if isinstance(v, Mapping) else v for k, v in values.items()}
    for key, value in changes.items():
        *groups, last = key.split(".")
        node = found
        for group in groups:
            node[group] = dict(node.get(group) or {})
            node = node[group]
        node[last] = value
    return found
