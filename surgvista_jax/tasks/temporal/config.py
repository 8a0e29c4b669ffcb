"""What decides a temporal run: its configuration, part by part."""

import dataclasses

from surgvista_jax.data.batches.division import SELECT_ON, SplitConfig
from surgvista_jax.models.mstcn import MsTcnConfig
from surgvista_jax.tasks.finetuning.config import ScoringConfig
from surgvista_jax.training.progress import MODES

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
class TemporalConfig:
    """The whole configuration of a temporal run. A step is one video.

    Attributes:
        mode: "temporal".
        epochs: passes over the training videos.
        learning_rate: of Adam.
        class_weights: "median_frequency", or "none".
        smoothing_weight: of the truncated mean squared error beside the cross entropy.
        evaluation: after each epoch on the videos of selection, at the end on the test videos.
        select_on: as in finetuning: "val"; "last" to train on all training videos and keep the last
            epoch; or "test" for comparison with results that were chosen so: the report says so.
        pad_to: lengths are rounded up to its multiples, each of which is compiled once.
        seed: of the parameters, the order of the videos and dropout.
        seeds: runs, with the seeds seed, seed + 1, …, each in a folder of its own.
        progress: "auto" (a bar on a terminal, else lines), "bar", "lines" or "none".
    """

    data: TemporalDataConfig
    model: MsTcnConfig
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

    def __post_init__(self):
        for key, choices in (
            ("mode", ("temporal",)),
            ("class_weights", CLASS_WEIGHTS),
            ("select_on", SELECT_ON),
            ("progress", MODES),
        ):
            if getattr(self, key) not in choices:
                raise ValueError(
                    f"{key}={getattr(self, key)!r}: should be one of {', '.join(choices)}"
                )
        if min(self.epochs, self.pad_to, self.seeds) < 1 or self.seed < 0:
            raise ValueError("epochs, pad_to and seeds must be at least 1, seed at least 0")
        if not self.learning_rate > 0 or self.smoothing_weight < 0:
            raise ValueError("learning_rate must be above 0 and smoothing_weight at least 0")
