"""What decides a temporal run: its configuration, part by part."""

import dataclasses

from surgvista_jax.checks import check, check_one_of, check_seed, check_whole
from surgvista_jax.data.batches.division import SELECT_ON, SplitConfig
from surgvista_jax.models.mstcn import MsTcnConfig
from surgvista_jax.tasks.scoring import ScoringConfig
from surgvista_jax.training.progress import MODES
from surgvista_jax.training.trackers import TENSORBOARD, TRACKERS

CLASS_WEIGHTS = ("none", "median_frequency")


@dataclasses.dataclass(frozen=True)
class TemporalDataConfig(SplitConfig):
    """What is trained on.

    Attributes:
        folder: a dataset folder with one label a frame.
        features: a features folder of that dataset.
        train, val, test, hold_out: see `SplitConfig`.
    """

    folder: str
    features: str


@dataclasses.dataclass(frozen=True)
class TemporalComputeConfig:
    """How it is computed, which changes no parameter's shape and no checkpoint.

    Attributes:
        deterministic: makes runs on GPUs equal to the bit; elsewhere they are so anyhow.
        check_memory: refuses videos that clearly cannot fit, before anything is computed.
    """

    deterministic: bool = False
    check_memory: bool = True


@dataclasses.dataclass(frozen=True)
class TemporalConfig:
    """The whole configuration of a temporal run. A step is one video.

    Attributes:
        mode: "temporal".
        epochs: passes over the training videos.
        learning_rate: of Adam.
        class_weights: "median_frequency", or "none".
        smoothing_weight: of the truncated mean squared error beside the cross entropy.
        compute: how it is computed.
        evaluation: after each epoch on the videos of selection, at the end on the test videos.
        select_on: as in finetuning: "val"; "last" to train on all training videos and keep the last
            epoch; or "test" for comparison with results that were chosen so: the report says so.
        pad_to: lengths are rounded up to its multiples, each of which is compiled once.
        seed: of the parameters, the order of the videos and dropout.
        seeds: runs, with the seeds seed, seed + 1, …, each in a folder of its own.
        progress: "auto" (a bar on a terminal, else lines), "bar", "lines" or "none".
        tracking: where the run's numbers go beside its folder: "tensorboard" (nowhere), "wandb" or
            "mlflow".
    """

    data: TemporalDataConfig
    model: MsTcnConfig
    compute: TemporalComputeConfig = TemporalComputeConfig()
    evaluation: ScoringConfig = ScoringConfig()
    mode: str = "temporal"
    epochs: int = 50
    learning_rate: float = 7e-5
    class_weights: str = "none"
    smoothing_weight: float = 0.15
    select_on: str = "val"
    pad_to: int = 512
    seed: int = 0
    seeds: int = 1
    progress: str = "auto"
    tracking: str = TENSORBOARD

    def __post_init__(self) -> None:
        check_one_of(self, ("temporal",), "mode")
        check_one_of(self, CLASS_WEIGHTS, "class_weights")
        check_one_of(self, SELECT_ON, "select_on")
        check_one_of(self, MODES, "progress")
        check_one_of(self, TRACKERS, "tracking")
        check_whole(self, 1, "epochs", "pad_to")
        check_whole(self, 1, "seeds", highest=1000)
        check_seed(self)
        check(self, "above 0", lambda rate: rate > 0, "learning_rate")
        check(self, "0 or more", lambda weight: weight >= 0, "smoothing_weight")
