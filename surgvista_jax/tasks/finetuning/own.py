"""What a finetuning run takes that nobody said, of its data, its weights and its devices."""

import contextlib
import io
from collections.abc import Collection, Iterator

import ml_collections

from surgvista_jax.config import build
from surgvista_jax.data.batches.division import divide
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.facts.tasks import TASKS
from surgvista_jax.inference.seen import Seen
from surgvista_jax.inference.starting_point import RANDOM
from surgvista_jax.metrics.named_protocols import PROTOCOLS
from surgvista_jax.models.video_vit import SIZES
from surgvista_jax.tasks.beginning import say
from surgvista_jax.tasks.choosing.choice import Choice, Choosing, tell
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
    FORWARD,
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
from surgvista_jax.tasks.finetuning.rehearsal import rehearse
from surgvista_jax.tasks.finetuning.seen import seen_by_init
from surgvista_jax.training.durations import in_words

_IMBALANCE = 10.0  # most over fewest frames of a class, from which classes are weighted
_FEWEST_AT_A_TIME = 4  # clips on a device, below which a backbone is frozen
_FEW_PATIENTS = 4  # to train on, below which a large backbone learns them by heart
_HOURS_OF_PROCESSOR = 2.0
_BATCH, _BATCH_OF_PROCESSOR = 64, 32  # as published; what small models take
_SMALL_CLIP, _CLIP = (8, 64), (16, 224)  # frames and pixels


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
    parts = build(LabelledDataConfig, choosing.config.data, "config.data")
    division = divide(dataset, parts, choosing.config.select_on)
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
    choosing.take(_parts(data))


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
    choosing.take(_scoring(data, classes))
    if config.init in ("", RANDOM):
        choosing.take(_from_scratch(processor))
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
    choosing.take([_image_clip(config)])
    fitting = fit(config)
    choosing.take(_mode(config, data, devices, fitting))
    choosing.take(_weighting(data, classes))
    choosing.take(_mixing(data, config))
    evaluated = devices.count * (8 if processor else min(64, max(fitting.clips or 64, 1)))
    choosing.take(
        [Choice("evaluation.batch_size", evaluated, "this many at a time fit without gradients")]
    )
    if config.mode == "linear":
        choosing.take(_probe(config))
        return
    clips = data.clips(config.clip.sampling)
    even = bool(config.mix.mixup or config.mix.cutmix)
    most = _BATCH_OF_PROCESSOR if processor else _BATCH
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
        most = max(min(int(_HOURS_OF_PROCESSOR * 3600 / max(seconds, 1e-9)), 1500), 10)
        fewest = min(fewest, most)
    told = [key for key in ("budget.steps", "budget.epochs") if choosing.is_told(key)]
    choices, an_epoch = step_choices(clips, config.budget.batch_size, epochs, (fewest, most), told)
    choosing.take(choices)
    steps = config.budget.steps or max(1, round((config.budget.epochs or 0) * an_epoch))
    times, why = evaluations(steps * config.budget.batch_size, selected)
    every = short(max(steps / times, 1) / an_epoch)
    choosing.take(
        [
            Choice("optim.warmup_epochs", short(0.1 * steps / an_epoch), "a tenth of the run"),
            Choice("evaluation.every_epochs", every, why),
            *watch_choices(steps),
        ]
    )


def _scoring(data: DataFacts, classes: tuple[str, ...]) -> Iterator[Choice]:
    """What selects and what reports, by task and kind of label."""
    task = TASKS.get(data.task)
    usual = task is not None and task.label_kind == data.label_kind
    score = task.score if task is not None and usual else ""
    score = score or ("accuracy" if data.label_kind == "single" else "mean_ap")
    kinds = {"single": "one label a frame", "multi": "several labels a frame"}
    yield Choice("evaluation.score", score, f"task {data.task}, {kinds[data.label_kind]}")
    fitting = task.protocol if task is not None and usual else ""
    fitting = fitting or {"single": "clips-single", "multi": "tool-presence"}[data.label_kind]
    misfit = PROTOCOLS[fitting].misfit(data.task, data.label_kind, classes)
    why = f"none scores any {data.task}" if misfit else f"it scores any {data.task}"
    yield Choice("evaluation.protocol", "" if misfit else fitting, why)


def _parts(data: DataFacts) -> Iterator[Choice]:
    """What is trained, selected and tested on, where the usual way would be refused."""
    splits, train = data.splits, "train"
    if scheme := scheme_of(splits, train):
        train = f"{scheme}/train"
        yield Choice("data.train", train, "the first scheme of splits that there is")
        for part in ("val", "test"):
            if f"{scheme}/{part}" in splits:
                yield Choice(f"data.{part}", f"{scheme}/{part}", "of the same scheme")
    if set(splits) <= {"train"}:
        patients = data.patients if not splits else splits["train"]
        alone = f"{patients} with labels (patients, or videos of no known one)"
        if patients < 3:
            yield Choice("data.test", "", f"{alone} are too few to test on as well: no test score")
        if patients < 2:
            yield Choice("select_on", "last", "and to select on: no score at all")
        return
    if "test" not in splits and not any(name.endswith("/test") for name in splits):
        yield Choice("data.test", "", "there is no split 'test'")
    if "val" not in splits and train in splits and splits[train] < 2:
        yield Choice("select_on", "last", "one patient to train on, of whom none can be held out")


def _from_scratch(processor: bool) -> Iterator[Choice]:
    """A backbone of random parameters."""
    yield Choice("init", RANDOM, "no weights are named; with --config.init=WEIGHTS it learns more")
    sizes = {"width": 96, "depth": 4, "heads": 3} if processor else SIZES["small"]
    why = "a processor trains it" if processor else "from random parameters, larger learn no better"
    encoder = {
        "transformer": {**sizes, "attention_bias": "qv"},
        "patch": 8 if processor else 16,
        "norm": False,
    }
    yield Choice("model", {"encoder": encoder}, why)
    if processor:
        yield Choice("optim.learning_rate", 1.5e-3, "small models bear high rates")
        yield Choice("optim.reference_batch", _BATCH_OF_PROCESSOR, "the batch that the rate is for")
    yield Choice("optim.layer_decay", 1.0, "nothing learnt before has to be kept")
    yield Choice("drop_path", 0.0 if processor else 0.1, "small models need none, others a little")


def _image_clip(config: ml_collections.ConfigDict) -> Choice:
    """What image models see, whose tokens are single frames'."""
    if config.init == RANDOM:
        return Choice("image_clip", None, "the model sees clips")
    clip = config.clip.to_dict()
    half = {"num_frames": max(1, clip["num_frames"] // 2), "stride": 2 * clip["stride"]}
    return Choice("image_clip", {**clip, **half}, "half the frames are as many tokens as a clip's")


def _mode(
    config: ml_collections.ConfigDict, data: DataFacts, devices: DeviceFacts, fitting: Fitting
) -> Iterator[Choice]:
    """How much of the backbone is trained."""
    if devices.platform == "cpu":
        yield Choice("compute.dtype", "float32", "processors are no faster with less")
        yield Choice("compute.unroll", False, "a loop over blocks compiles sooner")
    if config.init == RANDOM:
        yield Choice("mode", "full", "random parameters must be trained")
        return
    patients = data.patients
    seconds = on_processor(fitting.gflop, 1000 * _BATCH_OF_PROCESSOR, devices)
    if devices.platform == "cpu" and seconds > _HOURS_OF_PROCESSOR * 3600:
        clips = data.clips(config.clip.sampling) / FORWARD
        lasts = in_words(on_processor(fitting.gflop, clips, devices))
        why = f"a processor would train the backbone for days; its features take about {lasts}"
        yield Choice("mode", "linear", why)
    elif patients < _FEW_PATIENTS:
        yield Choice("mode", "linear", f"{patients} patients would be learnt by heart")
    elif fitting.clips is not None and fitting.clips < _FEWEST_AT_A_TIME:
        yield Choice("mode", "lora", f"a device holds {fitting.clips} clips at a time otherwise")
    else:
        yield Choice("mode", "full", "as published")


def _probe(config: ml_collections.ConfigDict) -> Iterator[Choice]:
    """What a linear probe tries."""
    if config.select_on == "last":
        why = "one value, as no videos are left to choose among several by"
        yield Choice("probe.learning_rates", "3e-3", why)
        yield Choice("probe.weight_decays", "1e-3", why)


def _weighting(data: DataFacts, classes: tuple[str, ...]) -> Iterator[Choice]:
    """Whether classes are weighted."""
    counts = {name: count for name, count in zip(classes, data.counts, strict=True) if count}
    if len(counts) < 2:
        return
    most, fewest = max(counts, key=counts.__getitem__), min(counts, key=counts.__getitem__)
    times = counts[most] / counts[fewest]
    said = f"{most} has {times:.3g} times the frames of {fewest}"
    if times == 1:
        said = "all have as many frames"
    if data.label_kind == "single" and times >= _IMBALANCE:
        yield Choice("class_weights", "balanced", said)
    else:
        balanced = f" (balanced from {_IMBALANCE:g} times on)"
        kind = balanced if data.label_kind == "single" else "; each label is learnt by itself"
        yield Choice("class_weights", "none", f"{said}{kind}")


def _mixing(data: DataFacts, config: ml_collections.ConfigDict) -> Iterator[Choice]:
    """What is done to clips, beside augmentation."""
    if data.label_kind == "multi":
        why = "clips with several labels are not mixed, as published"
    elif config.model is not None and config.clip.size < _CLIP[1]:
        why = "small models and clips have little to spare"
    else:
        return
    for key in ("mixup", "cutmix", "smoothing"):
        yield Choice(f"mix.{key}", 0.0, why)
    if config.clip.size < _CLIP[1]:
        yield Choice("mix.erase", 0.0, "of small clips little would be left")
        yield Choice("head.dropout", 0.0, "small models need none")
        yield Choice("augment", {"randaugment": {"operations": 0}, "flip": 0.0}, why)


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
