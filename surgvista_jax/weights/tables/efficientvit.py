"""EfficientViT-M5 under the names of GSViT, of its authors' code, and of timm."""

import dataclasses
import functools
from typing import Any

from surgvista_jax.errors import UserError
from surgvista_jax.models import efficientvit as model
from surgvista_jax.models.backbones import BackboneConfig
from surgvista_jax.weights.names.conv_entries import COUNTERS, conv_bias_entries, conv_norm_entries
from surgvista_jax.weights.names.entries import Entry, reshaped
from surgvista_jax.weights.names.table import Heads, Shapes, Table


@dataclasses.dataclass(frozen=True)
class Names:
    """What a family calls the parts of the network.

    Attributes:
        conv: the convolution beside a norm, which all call "bn".
        embedding: the four convolutions that embed the pixels.
        stages: the three stages.
        blocks: what stands between a stage and the number of a block.
        first_block: number of the first block of a stage that begins with a down-sampling.
        downsample: parts of a down-sampling, after the stage: convolution and MLP before it, the
            merging itself, convolution and MLP after it.
    """

    conv: str
    embedding: tuple[str, ...]
    stages: tuple[str, ...]
    blocks: str
    first_block: int
    downsample: tuple[str, ...]

    def block(self, stage: int, i: int) -> str:
        """Block i of a stage, both counted from 0."""
        first = self.first_block if stage else 0
        return f"{self.stages[stage]}{self.blocks}.{first + i}"


TIMM = Names(
    conv="conv",
    embedding=tuple(f"patch_embed.conv{i}" for i in (1, 2, 3, 4)),
    stages=tuple(f"stages.{i}" for i in range(3)),
    blocks=".blocks",
    first_block=0,
    downsample=tuple(
        f".downsample.{part}"
        for part in ("res1.0.m", "res1.1.m", "patchmerge", "res2.0.m", "res2.1.m")
    ),
)
# A down-sampling is three modules of the list of blocks; an embedding's odd modules are ReLUs.
AUTHORS = Names(
    conv="c",
    embedding=tuple(f"patch_embed.{i}" for i in (0, 2, 4, 6)),
    stages=("blocks1", "blocks2", "blocks3"),
    blocks="",
    first_block=3,
    downsample=(".0.0.m", ".0.1.m", ".1", ".2.0.m", ".2.1.m"),
)
# GSViT took the authors' network apart and numbered its children.
GSVIT = dataclasses.replace(
    AUTHORS,
    embedding=tuple(f"evit.0.{i}" for i in (0, 2, 4, 6)),
    stages=("evit.1", "evit.2", "evit.3"),
)


def entries(names: Names) -> list[Entry]:
    """Every parameter and statistic under the names of a family."""
    found = []

    def pair(path: str, name: str, size: int, inputs: int, outputs: int) -> None:
        conv, norm = f"{name}.{names.conv}", f"{name}.bn"
        found.extend(conv_norm_entries(path, conv, norm, size, inputs, outputs))

    def conv_mlp(path: str, conv: str, mlp: str, width: int) -> None:
        hidden = width * model.MLP_RATIO
        pair(f"{path}/conv", conv, 3, 1, width)
        pair(f"{path}/mlp/up", f"{mlp}.pw1", 1, width, hidden)
        pair(f"{path}/mlp/down", f"{mlp}.pw2", 1, hidden, width)

    def downsample(stage: int) -> None:
        path, name = f"stage_{stage}", names.stages[stage]
        before, before_mlp, merge, after, after_mlp = (name + x for x in names.downsample)
        inputs, outputs = model.WIDTHS[stage - 1 : stage + 1]
        hidden = inputs * model.MERGE_RATIO
        conv_mlp(f"{path}_before", before, before_mlp, inputs)
        ours = f"{path}_downsample"
        pair(f"{ours}/expand", f"{merge}.conv1", 1, inputs, hidden)
        pair(f"{ours}/spatial", f"{merge}.conv2", 3, 1, hidden)
        squeezed = hidden // model.SQUEEZE_RATIO
        found.extend(conv_bias_entries(f"{ours}/squeeze", f"{merge}.se.fc1", hidden, squeezed))
        found.extend(conv_bias_entries(f"{ours}/excite", f"{merge}.se.fc2", squeezed, hidden))
        pair(f"{ours}/reduce", f"{merge}.conv3", 1, hidden, outputs)
        conv_mlp(f"{path}_after", after, after_mlp, outputs)

    def attention(path: str, name: str, stage: int) -> None:
        width, heads, window = (x[stage] for x in (model.WIDTHS, model.HEADS, model.WINDOWS))
        head, key = width // heads, model.KEY_WIDTH
        bias = reshaped((heads, window**2), (heads, window, window))
        found.append(Entry(f"{path}/position_bias", (f"{name}.attention_biases",), bias))
        for i in range(heads):
            pair(f"{path}/qkv_{i}", f"{name}.qkvs.{i}", 1, head, 2 * key + head)
            pair(f"{path}/query_{i}", f"{name}.dws.{i}", model.QUERY_KERNELS[i], 1, key)
        pair(f"{path}/projection", f"{name}.proj.1", 1, width, width)

    widths = (3, *model.EMBEDDING_WIDTHS)
    for i, name in enumerate(names.embedding):
        pair(f"embedding_{i}", name, 3, *widths[i : i + 2])
    for stage, depth in enumerate(model.DEPTHS):
        if stage:
            downsample(stage)
        width = model.WIDTHS[stage]
        for i in range(depth):
            path, name = f"stage_{stage}_block_{i}", names.block(stage, i)
            conv_mlp(f"{path}_first", f"{name}.dw0.m", f"{name}.ffn0.m", width)
            attention(f"{path}_attention/cascade", f"{name}.mixer.m.attn", stage)
            conv_mlp(f"{path}_second", f"{name}.dw1.m", f"{name}.ffn1.m", width)
    return found


def infer(names: Names, pixels: str, shapes: Shapes, heads: Heads) -> BackboneConfig:
    """An M5, distinguished from its smaller siblings by its width and depth.

    Raises:
        UserError: the names or sizes are those of another network.
    """
    first, last = f"{names.embedding[-1]}.{names.conv}.weight", names.block(2, model.DEPTHS[2])
    if first not in shapes:
        raise UserError(f"not an EfficientViT-M5: {first} is missing")
    width = shapes[first][0]
    if width != model.WIDTHS[0] or any(name.startswith(f"{last}.") for name in shapes):
        raise UserError(
            f"not an EfficientViT-M5: {first} has {width} channels instead of {model.WIDTHS[0]}, or"
            f" {last} is there, a block too many"
        )
    return BackboneConfig("efficientvit_m5", pixels=pixels)


def _table(name: str, names: Names, pixels: str = "imagenet", **about: Any) -> Table:
    return Table(
        name=name,
        kind="cnn",
        infer=functools.partial(infer, names, pixels),
        entries=lambda config: entries(names),
        **about,
    )


OFFSETS = (r".*\.attention_bias_idxs", "which offset lies between two places: it is computed")
HEAD = (r"head(_dist)?\..*", "the classification head")
SOURCE = "https://github.com/microsoft/Cream/tree/main/EfficientViT"

TABLES = (
    _table(
        "gsvit",
        GSVIT,
        # Its training read frames with OpenCV and divided them by 255.
        pixels="bgr",
        title="GSViT (EfficientViT-M5)",
        licence="none stated",
        source="https://github.com/SamuelSchmidgall/GSViT",
        prefixes=("module.",),
        left_out=(COUNTERS, OFFSETS, (r"decoder\..*", "the decoder of the next frame")),
    ),
    _table(
        "efficientvit",
        AUTHORS,
        title="EfficientViT-M5 (its authors' code)",
        licence="MIT",
        source=SOURCE,
        prefixes=("module.", "backbone."),
        left_out=(COUNTERS, OFFSETS, HEAD),
    ),
    _table(
        "timm_efficientvit",
        TIMM,
        title="EfficientViT-M5 (timm)",
        licence="that of the file: timm's are Apache-2.0, the authors' MIT",
        source=SOURCE,
        prefixes=("module.", "backbone."),
        left_out=(COUNTERS, OFFSETS, HEAD),
    ),
)
