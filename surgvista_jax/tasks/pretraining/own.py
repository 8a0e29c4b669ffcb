"""What a pretraining run takes that nobody said, of its data and its devices."""

from collections.abc import Collection, Iterator
from pathlib import Path

import ml_collections

from surgvista_jax.config import build
from surgvista_jax.data.storage.mixture import SEPARATOR, read_folders
from surgvista_jax.models.video_vit import SIZES
from surgvista_jax.tasks.choosing.choice import CHOOSE, Choice, Choosing, begun_choices, tell
from surgvista_jax.tasks.choosing.facts import (
    DataFacts,
    DeviceFacts,
    facts_of_data,
    facts_of_devices,
    scheme_of,
)
from surgvista_jax.tasks.choosing.fitting import (
    Fit,
    Fitting,
    clips_at_a_time,
    on_processor,
    one_update,
)
from surgvista_jax.tasks.choosing.rules import (
    batch_choices,
    batch_for,
    clip_choices,
    short,
    step_choices,
    watch_choices,
)
from surgvista_jax.tasks.pretraining.config import DataConfig, PretrainConfig
from surgvista_jax.tasks.pretraining.data import check_folder, read_data
from surgvista_jax.tasks.pretraining.task import make_pretraining
from surgvista_jax.tasks.pretraining.train import settings_of

# Below so many clips a ViT-B learns no more than a ViT-S: a tenth of the published data.
_CLIPS_OF_BASE = 300_000
_FEWEST_AT_A_TIME = 8  # clips on a device, below which a smaller student is taken
_EPOCHS = 400.0  # as published without a teacher
_UPDATES = (1000, 100_000)
_HOURS_OF_PROCESSOR = 2.0
_BATCH, _BATCH_OF_PROCESSOR = 768, 16


def resolved(
    config: ml_collections.ConfigDict, told: Collection[str], workdir: Path | None
) -> ml_collections.ConfigDict:
    """The configuration, with choices where it asks for them; each is said with its reason.

    A run that goes on keeps what it began with. The devices must have been started.

    Args:
        told: keys that the command line says, such as "clip.size".
        workdir: of the run that begins or goes on; None where there is none.

    Raises:
        UserError: the data cannot be read, or what was told does not fit.
    """
    if not config[CHOOSE]:
        return config
    begun = begun_choices(config, told, workdir)
    if begun is not None:
        return begun.lock()
    check_folder(config.data.folder)
    facts = facts_of_folders(build(DataConfig, config.data, "config.data"))
    devices = facts_of_devices()
    choosing = Choosing(config, told)
    choose(choosing, facts, devices, _fit_of(devices))
    tell(choosing)
    return choosing.config.lock()


def facts_of_folders(config: DataConfig) -> DataFacts:
    """The facts of one folder, with all its splits; of several, of what is trained on of each.

    Raises:
        UserError: the data cannot be read.
    """
    if SEPARATOR in config.folder:
        return facts_of_data(read_data(config).dataset)
    return facts_of_data(read_folders(config.folder, None, config.root), config.split)


def choose(choosing: Choosing, data: DataFacts, devices: DeviceFacts, fit: Fit) -> None:
    """Completes a configuration; a function of the facts and of what is told alone."""
    config = choosing.config
    choosing.take(_split(data, config.data.split))
    if not choosing.is_told("teacher"):
        why = "no weights of a teacher are named (teacher.weights)"
        choosing.take([Choice("teacher", None, why)])
    choosing.take(_processor(config) if devices.platform == "cpu" else _accelerator(data))
    small = devices.platform == "cpu"
    frames, size, why = (
        (8, 64, "what a processor can train on") if small else (16, 224, "as published")
    )
    choosing.take(clip_choices(data, frames, size, why))
    fitting = fit(config)
    if fitting.clips is not None and fitting.clips < _FEWEST_AT_A_TIME:
        less = f"a device holds {fitting.clips} clips at a time otherwise"
        choosing.take(_student("small", less))
        fitting = fit(config)
        if (fitting.clips or 0) < _FEWEST_AT_A_TIME:
            choosing.take([Choice("compute.remat", "full", less.replace("otherwise", "still"))])
            fitting = fit(config)
    most = _BATCH_OF_PROCESSOR if small else _BATCH
    told = config.budget.batch_size if choosing.is_told("budget.batch_size") else None
    choosing.take(batch_choices(batch_for(data.frames, most, devices, fitting.clips, told=told)))
    _take_steps(choosing, data, devices, fitting)


def _take_steps(
    choosing: Choosing, data: DataFacts, devices: DeviceFacts, fitting: Fitting
) -> None:
    config = choosing.config
    batch_size = config.budget.batch_size
    fewest, most = _UPDATES
    if devices.platform == "cpu":
        seconds = on_processor(fitting.gflop, batch_size, devices)
        most = max(int(_HOURS_OF_PROCESSOR * 3600 / max(seconds, 1e-9)), 10)
        fewest = min(fewest, most)
    told = [key for key in ("budget.steps", "budget.epochs") if choosing.is_told(key)]
    choices, an_epoch = step_choices(data.frames, batch_size, _EPOCHS, (fewest, most), told)
    choosing.take(choices)
    steps = config.budget.steps or max(1, round((config.budget.epochs or 0) * an_epoch))
    warm_up = short(min(0.1 * steps / an_epoch, 40.0))
    choosing.take([Choice("optim.warmup_epochs", warm_up, "a tenth of the run, at most 40 epochs")])
    choosing.take(watch_choices(steps))
    choosing.take([Choice("checkpoint.keep_every", 0, "the newest are kept")])
    choosing.take([Choice("figure.every", max(1, steps // 5), "five pictures of what it rebuilds")])


def _split(data: DataFacts, split: str) -> Iterator[Choice]:
    if scheme := scheme_of(data.splits, split):
        why = f"there is no split {split!r}; the first scheme"
        yield Choice("data.split", f"{scheme}/train", why)


def _processor(config: ml_collections.ConfigDict) -> list[Choice]:
    why = "what a processor trains in minutes to hours"
    return [
        Choice("model.patch", 8, why),
        *(
            Choice(f"model.encoder.{key}", value, why)
            for key, value in {"width": 96, "depth": 4, "heads": 3, "drop_path": 0.0}.items()
        ),
        *(
            Choice(f"model.pixel_decoder.{key}", value, why)
            for key, value in {"width": 96, "depth": 2, "heads": 3, "drop_path": 0.0}.items()
        ),
        Choice("mask.ratio", 0.75, "small pictures hold little to guess the rest from"),
        Choice("optim.learning_rate", 1e-3, "small students bear high rates"),
        Choice("optim.reference_batch", _BATCH_OF_PROCESSOR, "the batch that the rate is for"),
        Choice("compute.dtype", "float32", "processors are no faster with less"),
        Choice("compute.unroll", False, "a loop over blocks compiles sooner"),
    ]


def _accelerator(data: DataFacts) -> list[Choice]:
    large = data.frames >= _CLIPS_OF_BASE
    size = "base" if large else "small"
    than = "at least" if large else "fewer than"
    return _student(size, f"{data.frames:,} clips are {than} {_CLIPS_OF_BASE:,}")


def _student(size: str, why: str) -> list[Choice]:
    return [
        Choice(f"model.encoder.{key}", value, f"ViT-{size[0].upper()}: {why}")
        for key, value in SIZES[size].items()
    ]


def _fit_of(devices: DeviceFacts) -> Fit:
    def fit(config: ml_collections.ConfigDict) -> Fitting:
        built = build(PretrainConfig, one_update(config, devices))
        task = make_pretraining(built)
        at_a_time = clips_at_a_time(task, settings_of(built), built, devices, built.clip.slide)
        return Fitting(at_a_time, task.flops_per_clip["mfu"] / 1e9)

    return fit
