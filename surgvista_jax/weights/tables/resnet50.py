"""ResNet-50 under the names of torchvision and timm, and as SelfSupSurg's VISSL saved it."""

from surgvista_jax.errors import UserError
from surgvista_jax.models import resnet
from surgvista_jax.models.backbones import BackboneConfig
from surgvista_jax.weights.names.conv_entries import COUNTERS, conv_norm_entries
from surgvista_jax.weights.names.entries import Entry
from surgvista_jax.weights.names.table import Heads, Shapes, Table

VISSL = "_feature_blocks."


def entries(prefix: str = "") -> list[Entry]:
    """Every parameter and statistic; `prefix` stands before all of their names."""
    width = resnet.STEM_WIDTH
    found = conv_norm_entries("stem", f"{prefix}conv1", f"{prefix}bn1", 7, 3, width)
    for stage, depth in enumerate(resnet.DEPTHS):
        inner = resnet.inner_width(stage)
        outputs = inner * resnet.EXPANSION
        for i in range(depth):
            ours, theirs = f"stage_{stage}_block_{i}", f"{prefix}layer{stage + 1}.{i}"
            convolutions = (
                ("reduce", "conv1", "bn1", 1, width, inner),
                ("spatial", "conv2", "bn2", 3, inner, inner),
                ("expand", "conv3", "bn3", 1, inner, outputs),
                ("shortcut", "downsample.0", "downsample.1", 1, width, outputs),
            )
            for part, conv, norm, *sizes in convolutions[: 4 if i == 0 else 3]:
                found += conv_norm_entries(
                    f"{ours}/{part}", f"{theirs}.{conv}", f"{theirs}.{norm}", *sizes
                )
            width = outputs
    return found


def infer(shapes: Shapes, prefix: str = "") -> BackboneConfig:
    """A ResNet-50, distinguished from other residual networks by its depth.

    Raises:
        UserError: the names are those of another network.
    """
    if f"{prefix}conv1.weight" not in shapes or f"{prefix}layer4.0.conv3.weight" not in shapes:
        raise UserError(
            f"not a ResNet-50: {prefix}conv1.weight or {prefix}layer4.0.conv3.weight is missing"
        )
    for stage, depth in enumerate(resnet.DEPTHS, start=1):
        if f"{prefix}layer{stage}.{depth}.conv1.weight" in shapes:
            raise UserError(
                f"not a ResNet-50: {prefix}layer{stage}.{depth} is there, so stage {stage} has more"
                f" than {depth} blocks (a ResNet-101 or -152?)"
            )
    return BackboneConfig("resnet50")


def _infer(shapes: Shapes, heads: Heads) -> BackboneConfig:
    return infer(shapes)


def _infer_vissl(shapes: Shapes, heads: Heads) -> BackboneConfig:
    return infer(shapes, VISSL)


TABLES = (
    Table(
        name="resnet50",
        title="ResNet-50 (torchvision, timm)",
        kind="cnn",
        licence="that of the file: torchvision's are BSD-3-Clause, timm's Apache-2.0",
        source="He et al., Deep residual learning for image recognition, CVPR 2016",
        infer=_infer,
        entries=lambda config: entries(),
        prefixes=("module.", "backbone.", "encoder.", "model."),
        left_out=(COUNTERS, (r"fc\..*", "the classification head")),
    ),
    Table(
        name="selfsupsurg",
        title="SelfSupSurg ResNet-50 (MoCo v2, SimCLR, SwAV, DINO on Cholec80)",
        kind="cnn",
        licence="CC BY-NC-SA 4.0",
        source="https://github.com/CAMMA-public/SelfSupSurg",
        infer=_infer_vissl,
        entries=lambda config: entries(VISSL),
        # Depending on how deep in VISSL's checkpoint the names begin.
        prefixes=("trunk.", "base_model.model.trunk.", "classy_state_dict.base_model.model.trunk."),
        left_out=(COUNTERS, (r"heads\..*", "the projection head of pretraining")),
    ),
)
