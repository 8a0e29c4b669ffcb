"""What decides a pretraining run: its configuration, part by part."""

import dataclasses
from collections.abc import Mapping

from surgvista_jax.checks import LARGEST_FLOAT, check_one_of, check_seed, check_whole
from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.data.batches.masking import MaskConfig
from surgvista_jax.models.image_vit import TeacherConfig
from surgvista_jax.models.layers import ComputeConfig
from surgvista_jax.models.masked_autoencoder import MaskedAutoencoderConfig
from surgvista_jax.tasks.pretraining.losses import ObjectiveConfig
from surgvista_jax.training.budget import BudgetConfig
from surgvista_jax.training.checkpoint import CheckpointConfig
from surgvista_jax.training.loop import LoopConfig
from surgvista_jax.training.optim import OptimConfig, check_warmup
from surgvista_jax.training.partition import MeshConfig
from surgvista_jax.training.trackers import TENSORBOARD, TRACKERS


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """What is trained on.

    Attributes:
        folder: a dataset folder, as `surgvista data convert` writes it; or several, separated by
            commas, that are trained on as one.
        split: which of its splits, in each of several folders.
        root: the folder below which relative paths in `folder` lie.
        mixture: each folder's name and its weight, of which its share of the clips is made, however
            many it has; {}: all clips of all folders come once an epoch.
        allow_overlap: takes an operation from every folder that shows it, instead of from the first
            alone.
    """

    folder: str
    split: str = "train"
    root: str = ""
    mixture: Mapping[str, float] = dataclasses.field(default_factory=dict, hash=False)
    allow_overlap: bool = False

    def __post_init__(self) -> None:
        for name, weight in self.mixture.items():
            if not 0 < weight <= LARGEST_FLOAT:
                raise ValueError(
                    f"mixture.{name}={weight:g}: should be above 0, and of a size that float32"
                    " holds; a dataset that is not to be seen is left out of data.folder"
                )


@dataclasses.dataclass(frozen=True)
class FigureConfig:
    """The reconstruction figures that are drawn during training.

    Attributes:
        every: steps between figures; 0 draws none.
        clips: how many clips a figure shows.
        denormalise: whose pixel statistics undo the targets' normalisation: "visible" or "target".
    """

    every: int = 0
    clips: int = 2
    denormalise: str = "visible"

    def __post_init__(self) -> None:
        check_whole(self, 0, "every")
        check_whole(self, 1, "clips", highest=1000)
        check_one_of(self, ("visible", "target"), "denormalise")


@dataclasses.dataclass(frozen=True)
class PretrainConfig:
    """The whole configuration of a pretraining run. Each part is described at its own class.

    Attributes:
        init: `[NAME:]FILE` or a folder of weights that the student starts from, as far as it holds
            a student's parts; "" or "random" for random ones.
        seed: of the random parameters, the masks and the order of the clips.
        choose: fills in what the command line leaves open, by data and device, as the run starts.
        tracking: where the run's numbers go beside its folder: "tensorboard" (nowhere), "wandb" or
            "mlflow".
    """

    data: DataConfig
    budget: BudgetConfig
    model: MaskedAutoencoderConfig
    teacher: TeacherConfig | None
    clip: ClipConfig
    mask: MaskConfig
    objective: ObjectiveConfig
    optim: OptimConfig
    compute: ComputeConfig
    loader: LoaderConfig
    mesh: MeshConfig
    checkpoint: CheckpointConfig
    loop: LoopConfig
    figure: FigureConfig
    init: str = ""
    seed: int = 0
    choose: bool = False
    tracking: str = TENSORBOARD

    def __post_init__(self) -> None:
        check_seed(self)
        check_one_of(self, TRACKERS, "tracking")
        check_warmup(self.optim, self.budget)
