"""What a finetuning run takes that nobody said, of its data, its weights and its devices."""

import contextlib
import io
from collections.abc import Collection

import ml_collections

from surgvista_jax.config import build
from surgvista_jax.data.batches.division import divide
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.inference.seen import Seen
from surgvista_jax.inference.starting_point import RANDOM
from surgvista_jax.tasks.beginning import say
from surgvista_jax.tasks.choosing.choice import Choice, Choosing, tell
from surgvista_jax.tasks.choosing.facts import (
    DataFacts,
    DeviceFacts,
    facts_of_data,
    facts_of_devices,
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
    evaluations,
    short,
    step_choices,
    thinning,
    watch_choices,
)
from surgvista_jax.tasks.finetuning.config import FinetuneConfig, LabelledDataConfig
from surgvista_jax.tasks.finetuning.descent import settings_of
from surgvista_jax.tasks.finetuning.own_labels import USUAL_SIZE, mixing, weighting
from surgvista_jax.tasks.finetuning.own_model import (
    BATCH_OF_PROCESSOR,
    HOURS_OF_PROCESSOR,
    from_scratch,
    image_clip,
    mode,
    probe,
)
from surgvista_jax.tasks.finetuning.own_parts import parts, scoring
from surgvista_jax.tasks.finetuning.rehearsal import rehearse
from surgvista_jax.tasks.finetuning.seen import seen_by_init

_BATCH = 64  # as published
_SMALL_CLIP, _CLIP = (8, 64), (16, USUAL_SIZE)  # frames and pixels


def chosen(config: ml_collections.ConfigDict, told: Collection[str]) -> ml_collections.ConfigDict:
    """The configuration with choices; each is said with its reason. The devices were started.

    Args:
        config: that asks for them.
        told: keys that the command line says, such as "clip.size".

    Raises:
        UserError: the data or the weights cannot be read, or what was told does not fit.
    """
    if not config.data.folder:
        raise UserError("config.data.folder is empty: say --config.data.folder=DATASET")
    dataset = read_dataset(config.data.folder)
    devices = facts_of_devices()
    seen = None if config.init in ("", RANDOM) else seen_by_init(config.init)
    choosing = Choosing(config, told)
    choose_parts(choosing, facts_of_data(dataset, config.data.train))
    splits = build(LabelledDataConfig, choosing.config.data, "config.data")
    division = divide(dataset, splits, choosing.config.select_on)
    trained, facts = division.train, facts_of_data(division.train)
    if not any(facts.counts):
        raise UserError(
            f"{dataset.folder}: none of its {len(trained.videos)} videos to train on has labels, of"
            " which finetuning learns (`data convert videos --labels`); pretraining needs none"
        )
    fit = _fit_of(devices, len(dataset.classes))
    selection = None if division.selection is None else facts_of_data(division.selection)
    choose(choosing, facts, devices, fit, dataset.classes, seen, selection)
    tell(choosing)
    if advice := thinning(facts, choosing.config.clip.stride):
        say(f"advice: {advice}")
    return choosing.config.lock()


def choose_parts(choosing: Choosing, data: DataFacts) -> None:
    """Chooses what is trained, selected and tested on, of the facts of a whole dataset."""
    choosing.take(parts(data))


def choose(
    choosing: Choosing,
    data: DataFacts,
    devices: DeviceFacts,
    fit: Fit,
    classes: tuple[str, ...],
    seen: Seen | None = None,
    selection: DataFacts | None = None,
) -> None:
    """Completes a configuration; a function of the facts and of what is told alone.

    Args:
        data: of the videos that are trained on.
        classes: of the dataset.
        seen: what the weights were trained on, as far as they tell it.
        selection: of the videos that choose the best parameters; None where there are none.
    """
    config, processor = choosing.config, devices.platform == "cpu"
    choosing.take(scoring(data, classes))
    if config.init in ("", RANDOM):
        choosing.take(from_scratch(processor))
    frames, size = _SMALL_CLIP if processor and config.init == RANDOM else _CLIP
    if seen is not None:
        frames, size = seen.clip.num_frames, seen.clip.size
    why = "as published" if size == _CLIP[1] else "what a processor can train on"
    why = why if seen is None else "the weights were trained on it"
    choices = clip_choices(data, frames, size, why)
    if seen is not None and seen.clip.sampling == "past":
        stride = Choice("clip.stride", seen.stride_at(data.fps), f"the weights saw {seen}")
        choices = [stride if choice.key == "clip.stride" else choice for choice in choices]
    choosing.take(choices)
    choosing.take([image_clip(config)])
    fitting = fit(config)
    choosing.take(mode(config, data, devices, fitting))
    choosing.take(weighting(data, classes))
    choosing.take(mixing(data, config))
    evaluated = devices.count * (8 if processor else min(64, max(fitting.clips or 64, 1)))
    choosing.take(
        [Choice("evaluation.batch_size", evaluated, "this many at a time fit without gradients")]
    )
    if config.mode == "linear":
        choosing.take(probe(config))
        return
    clips = data.clips(config.clip.sampling)
    even = bool(config.mix.mixup or config.mix.cutmix)
    most = BATCH_OF_PROCESSOR if processor else _BATCH
    told = config.budget.batch_size if choosing.is_told("budget.batch_size") else None
    choosing.take(batch_choices(batch_for(clips, most, devices, fitting.clips, even, told=told)))
    selected = 0 if selection is None else selection.clips(config.clip.sampling)
    _take_steps(choosing, data, devices, fitting, selected)


def _take_steps(
    choosing: Choosing, data: DataFacts, devices: DeviceFacts, fitting: Fitting, selected: int
) -> None:
    config, clips = choosing.config, data.clips(choosing.config.clip.sampling)
    epochs = 20.0 if data.label_kind == "multi" else 50.0
    fewest, most = 500, 20_000
    if config.clip.sampling == "uniform":
        epochs *= 10  # of clips that are few, as published
    if devices.platform == "cpu":
        seconds = on_processor(fitting.gflop, config.budget.batch_size, devices)
        most = max(min(int(HOURS_OF_PROCESSOR * 3600 / max(seconds, 1e-9)), 1500), 10)
        fewest = min(fewest, most)
    told = [key for key in ("budget.steps", "budget.epochs") if choosing.is_told(key)]
    choices, an_epoch = step_choices(clips, config.budget.batch_size, epochs, (fewest, most), told)
    choosing.take(choices)
    steps = config.budget.steps or max(1, round((config.budget.epochs or 0) * an_epoch))
    times, why = evaluations(steps, config.budget.batch_size, selected)
    every = short(max(steps / times, 1) / an_epoch)
    choosing.take(
        [
            Choice("optim.warmup_epochs", short(0.1 * steps / an_epoch), "a tenth of the run"),
            Choice("evaluation.every_epochs", every, why),
            *watch_choices(steps),
        ]
    )


def _fit_of(devices: DeviceFacts, classes: int) -> Fit:
    def fit(config: ml_collections.ConfigDict) -> Fitting:
        values = one_update(config, devices)
        values.mode = "full"
        built = build(FinetuneConfig, values)
        with contextlib.redirect_stderr(io.StringIO()):  # the run says it when it starts
            task = rehearse(built, classes)
        at_a_time = clips_at_a_time(task, settings_of(built), built, devices)
        return Fitting(at_a_time, task.flops_per_clip["mfu"] / 1e9)

    return fit
