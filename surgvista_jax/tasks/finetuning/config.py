"""The configuration of a finetuning run, part by part."""

import dataclasses

from surgvista_jax.checks import LARGEST_FLOAT, check, check_one_of, check_seed, check_whole
from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.batches.crop import AugmentConfig
from surgvista_jax.data.batches.division import SELECT_ON, SplitConfig
from surgvista_jax.data.batches.loader import LoaderConfig
from surgvista_jax.models.backbones import BackboneConfig
from surgvista_jax.models.heads import HeadConfig
from surgvista_jax.models.layers import ComputeConfig
from surgvista_jax.models.lora import LoraConfig
from surgvista_jax.tasks.finetuning.mixing import MixConfig
from surgvista_jax.tasks.scoring import ScoringConfig
from surgvista_jax.training.budget import BudgetConfig
from surgvista_jax.training.checkpoint import CheckpointConfig
from surgvista_jax.training.loop import LoopConfig
from surgvista_jax.training.optim import OptimConfig, check_warmup
from surgvista_jax.training.partition import MeshConfig
from surgvista_jax.training.trackers import TENSORBOARD, TRACKERS
from surgvista_jax.weights.adapt import AdaptConfig

MODES = ("full", "linear", "attentive", "lora")
WEIGHTINGS = ("none", "balanced")


@dataclasses.dataclass(frozen=True)
class LabelledDataConfig(SplitConfig):
    """What is trained on, selected on and tested on.

    Attributes:
        folder: a labelled dataset folder, as `surgvista data convert` writes it.
        balanced: draws training clips class by class instead of frame by frame.
        train, val, test, hold_out: see `SplitConfig`.
    """

    folder: str
    balanced: bool = False


@dataclasses.dataclass(frozen=True)
class EvaluationConfig(ScoringConfig):
    """How a run is evaluated.

    Attributes:
        score, protocol: as of `ScoringConfig`.
        every_epochs: epochs between evaluations on the videos of selection.
        batch_size: clips at a time, over all devices.
    """

    every_epochs: float = 1.0
    batch_size: int = 64

    def __post_init__(self) -> None:
        check(self, "above 0", lambda epochs: epochs > 0, "every_epochs")
        check_whole(self, 1, "batch_size")


@dataclasses.dataclass(frozen=True)
class ProbeConfig:
    """The linear probe of frozen features.

    Attributes:
        epochs: passes over the features.
        batch_size: features an update.
        learning_rates, weight_decays: the values that are tried, separated by commas; the
            validation videos decide.
    """

    epochs: int = 60
    batch_size: int = 256
    learning_rates: str = "3e-4,1e-3,3e-3,1e-2"
    weight_decays: str = "0,1e-3,1e-1"

    def __post_init__(self) -> None:
        check_whole(self, 1, "epochs", "batch_size")
        rule = "numbers of 0 or more, separated by commas"
        check(self, rule, _are_numbers, "learning_rates", "weight_decays")

    def numbers(self, key: str) -> tuple[float, ...]:
        return _numbers(getattr(self, key))


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(number) for number in text.split(","))


def _are_numbers(text: str) -> bool:
    try:
        return all(0 <= number <= LARGEST_FLOAT for number in _numbers(text))
    except ValueError:
        return False


@dataclasses.dataclass(frozen=True)
class FinetuneConfig:
    """The whole configuration of a finetuning run. Each part is described at its own class.

    Attributes:
        init: where the backbone's parameters come from: a weights file, a run folder, or "random".
        model: the backbone; None takes the one that `init` holds.
        mode: "full", "linear" (a probe of frozen features), "attentive" (a probe with a pool of
            its own) or "lora" (adapters of a frozen backbone).
        clip: what a video model sees.
        image_clip: what an image model sees instead, as its tokens are single frames' (unless
            `adapt.patches` makes tubelets of them); None: the same.
        drop_path: of the backbone's last block, rising from 0.
        class_weights: "balanced" lets every class count alike, by its share of the training clips.
        ema: the decay of the running mean of the parameters that is then evaluated; 0 for none. The
            first updates take less: update n (from 0) at most (1 + n) / (10 + n).
        select_on: "val"; "last" to train on all training videos and take the parameters of the last
            step; or "test" for a comparison with publications that selected on their test videos:
            the report says so.
        seeds: runs, with the seeds seed, seed + 1, …, each in a folder of its own.
        choose: fills in what the command line leaves open, by data and device, as the run starts.
        tracking: where the run's numbers go beside its folder: "tensorboard" (nowhere), "wandb" or
            "mlflow".
    """

    data: LabelledDataConfig
    init: str
    budget: BudgetConfig
    clip: ClipConfig
    augment: AugmentConfig
    mix: MixConfig
    head: HeadConfig
    optim: OptimConfig
    adapt: AdaptConfig
    lora: LoraConfig
    probe: ProbeConfig
    evaluation: EvaluationConfig
    compute: ComputeConfig
    loader: LoaderConfig
    mesh: MeshConfig
    checkpoint: CheckpointConfig
    loop: LoopConfig
    image_clip: ClipConfig | None = None
    model: BackboneConfig | None = None
    mode: str = "full"
    drop_path: float = 0.1
    class_weights: str = "none"
    ema: float = 0.0
    select_on: str = "val"
    seed: int = 0
    seeds: int = 1
    choose: bool = False
    tracking: str = TENSORBOARD

    def __post_init__(self) -> None:
        check_one_of(self, MODES, "mode")
        check_one_of(self, WEIGHTINGS, "class_weights")
        check_one_of(self, SELECT_ON, "select_on")
        check(self, "from 0 to below 1", lambda share: 0 <= share < 1, "ema", "drop_path")
        check_seed(self)
        check_one_of(self, TRACKERS, "tracking")
        for key in ("clip", "image_clip"):
            clip = getattr(self, key)
            if clip is not None and clip.slide > 1:
                raise ValueError(
                    f"{key}.slide={clip.slide}: slides in pretraining alone, where it is"
                    " configured: take 1"
                )
        if self.mode != "linear":  # whose probes are trained in another way
            check_warmup(self.optim, self.budget)
        check_whole(self, 1, "seeds", highest=1000)
        mixed = self.mode != "linear" and (self.mix.mixup or self.mix.cutmix)
        if mixed and self.budget.batch_size // self.budget.accumulate % 2:
            raise ValueError(
                f"budget.batch_size={self.budget.batch_size}: mixup and cutmix mix clips in pairs,"
                f" so that each of the accumulate={self.budget.accumulate} parts must be even"
            )
