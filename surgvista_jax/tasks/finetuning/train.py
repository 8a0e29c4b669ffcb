"""The finetuning program: a labelled dataset and a backbone in, a classifier out."""

import dataclasses
from pathlib import Path

import flax.linen as nn
import jax
import ml_collections
from jax.sharding import Mesh

from surgvista_jax.config import build
from surgvista_jax.data.batches.division import Division, divide
from surgvista_jax.data.batches.samples import labelled_samples
from surgvista_jax.data.dataset import label_fingerprint
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.inference.batch_memory import check_batch
from surgvista_jax.inference.every_clip import Outputs
from surgvista_jax.inference.starting_point import RANDOM, StartingPoint
from surgvista_jax.ownership import in_folder
from surgvista_jax.tasks import free_keys
from surgvista_jax.tasks.beginning import (
    say,
    tell_division,
    warn,
    warn_of_data,
    warn_of_memory,
)
from surgvista_jax.tasks.ending import tell_finetuned
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.finetuning.descent import settings_of, train_on_clips
from surgvista_jax.tasks.finetuning.kept_features import FEATURES
from surgvista_jax.tasks.finetuning.probe import train_probe
from surgvista_jax.tasks.finetuning.start import starting_point
from surgvista_jax.tasks.finetuning.task import Finetuning, make_finetuning
from surgvista_jax.tasks.outcome import (
    check_protocol,
    description,
    made_splits,
    outcome_files,
    write_outcome,
)
from surgvista_jax.tasks.selection import check_score
from surgvista_jax.training.banner import Banner, count_of, devices_in_words
from surgvista_jax.training.beforehand import check_memory, check_mesh
from surgvista_jax.training.determinism import make_deterministic
from surgvista_jax.training.fits_devices import clips_fit
from surgvista_jax.training.goodput import timed
from surgvista_jax.training.longer import Length, length_of_budget
from surgvista_jax.training.optim import long_warmup
from surgvista_jax.training.partition import RULES, check_divisible, make_mesh
from surgvista_jax.training.processes import agree
from surgvista_jax.training.run import Loaded
from surgvista_jax.training.run_files import ownership
from surgvista_jax.training.rundir import claim
from surgvista_jax.training.sole import alone_in_workdir
from surgvista_jax.training.tracking import check_tracking, tracked, tracking_files
from surgvista_jax.training.xla_options import as_compiled
from surgvista_jax.weights.provenance import as_json, of_dataset

KIND = "finetuning"
# Each start trains all of a probe, from its features, which are kept.
_OF_PROBE = Length(("probe.epochs",), lambda values: int(values["probe"]["epochs"]), anew=True)


@timed
@alone_in_workdir
def finetune(
    config_dict: ml_collections.ConfigDict,
    workdir: Path,
    features: Path | None = None,
    overwrite: bool = False,
    one_of_several: bool = False,
) -> bool:
    """Runs, or continues, the finetuning of a configuration with one seed in a run folder.

    Args:
        features: where runs that differ in their seeds keep the features of a probe, if they have
            the same: a random backbone is another for each seed.
        overwrite: whether files in the run's way that no run has written may be replaced.
        one_of_several: whether other seeds follow, and one table tells the scores of all.

    Returns:
        Whether the run came to its end; False if it was stopped before.

    Raises:
        UserError: whatever of the configuration, the data, the weights, the folder or the machine
            does not fit.
    """
    config = build(FinetuneConfig, config_dict)
    check_tracking(config.tracking)
    make_deterministic(config.compute.deterministic)
    if config.mode == "linear" and config.loop.profile:
        warn("--profile (config.loop.profile): mode=linear takes no steps that could be traced")
    data = config.data
    if not data.folder:
        raise UserError("config.data.folder is empty: say --config.data.folder=DATASET")
    division = divide(read_dataset(data.folder), data, config.select_on)
    train = division.train
    check_score(config.evaluation.score, train.label_kind, len(train.classes))
    check_protocol(config.evaluation.protocol, train)  # not only after hours of training
    mesh = make_mesh(config.mesh)
    warn_of_memory(lambda: _check_pixels(config, mesh), config.compute.check_memory, workdir)
    start = starting_point(config)
    samples = labelled_samples(division.train, start.clip, start.clip_key)
    for part in filter(None, (division.selection, division.test)):
        # What it raises is not raised after hours of training.
        labelled_samples(part, start.clip, start.clip_key)
    task = make_finetuning(config, start.model, start.clip, division.train, samples.label)
    check_mesh(mesh, config.budget, task)
    check_divisible(
        mesh, batch_size=config.evaluation.batch_size, key="config.evaluation.batch_size"
    )
    warn_of_memory(lambda: _check_batches(task, mesh), config.compute.check_memory, workdir)
    if config.mode != "linear":  # whose features are computed without a backward pass
        warn(long_warmup(config.optim, config.budget, len(samples)))
    about = _about(task, division, start)
    parts = {"train": division.train, "selection": division.selection, "test": division.test}
    agree(
        {
            "init": about["init_digest"],
            **{f"data, {name}": label_fingerprint(part) for name, part in parts.items() if part},
        }
    )
    owned = ownership(workdir, overwrite)
    files = [
        *outcome_files(division, config.evaluation.protocol),
        *tracking_files(config.tracking),
    ]
    values = as_compiled(config_dict, KIND)
    length = _OF_PROBE if config.mode == "linear" else length_of_budget(len(samples))
    changed = claim(
        workdir, values, FinetuneConfig, KIND, free_keys.FINETUNING, owned, files, length
    )
    if changed is not None:
        an_epoch = config.budget.steps_per_epoch(len(samples))
        anew = f"trained anew, {changed.after:,} epochs instead of {changed.before:,}"
        goes_on = changed.in_words(settings_of(config).optimizer, an_epoch)
        say(f"{workdir}: {anew if length.anew else goes_on}")
    tell_division(owned, division)
    warn_of_data(train, start.clip, start.clip_key)

    outcome: tuple[dict, Outputs | None] | None
    with (
        tracked(workdir, config.tracking, owned, config.evaluation.score) as tracking,
        jax.set_mesh(mesh),
        nn.logical_axis_rules(RULES),
    ):
        if config.mode == "linear":
            shared = None if config.init == RANDOM else features
            kept = in_folder(shared or workdir / FEATURES, overwrite)
            say(str(_probe_banner(task, division, len(samples), mesh)))
            outcome = train_probe(task, start.variables or {}, division, workdir, mesh, about, kept)
        else:
            loaded = Loaded(start.variables or {}, start.variables or {})
            del start  # with it, and what is loaded, goes the copy on this host
            outcome = train_on_clips(task, loaded, division, len(samples), workdir, mesh, about)
        tracking.ended = outcome is not None
    if outcome is None:
        return False
    write_outcome(owned, config, division, *outcome, about, one_of_several)
    tell_finetuned(workdir)
    return True


def _probe_banner(task: Finetuning, division: Division, clips: int, mesh: Mesh) -> Banner:
    """What is told before features are computed: a probe takes no steps that could be counted."""
    parts = jax.eval_shape(task.init_params)
    head = count_of(parts["head"])
    return Banner(
        devices_in_words(mesh), head, count_of(parts) - head, len(division.train.videos), clips
    )


def _check_pixels(config: FinetuneConfig, mesh: Mesh) -> str | None:
    """Of memory, what can be said before the weights are read: whether the clips alone fit."""
    clips = [clip for clip in (config.clip, config.image_clip) if clip is not None]
    pixels = min(3 * clip.num_frames * clip.size**2 for clip in clips)
    batches = {"config.evaluation.batch_size": config.evaluation.batch_size}
    if config.mode != "linear":
        batches["config.budget.batch_size"] = config.budget.batch_size // config.budget.accumulate
    said = [clips_fit(pixels, size, mesh, key) for key, size in batches.items()]
    return next(filter(None, said), None)


def _check_batches(task: Finetuning, mesh: Mesh) -> str | None:
    """Of memory, what is to be said of training and of evaluation."""
    config, classifier = task.config, task.classifier
    linear = config.mode == "linear"
    said = check_batch(
        classifier.features if linear else classifier.predict,
        task.init_params,
        task.clip,
        config.evaluation.batch_size,
        mesh,
        "config.evaluation.batch_size",
    )
    if linear:
        return said
    trained = check_memory(
        task, settings_of(config), task.batch_shapes, mesh, config.compute, task.stacks
    )
    return trained or said


def _about(task: Finetuning, division: Division, start: StartingPoint) -> dict:
    """What the finetuned model is, as JSON values."""
    config = task.config
    return description(
        config,
        division.train,
        name=f"{config.mode} finetuning of {config.init}",
        init=config.init,
        init_digest=start.origin,
        model=dataclasses.asdict(task.model),
        head=dataclasses.asdict(config.head),
        clip=dataclasses.asdict(task.clip),
        **made_splits(division),
        sources=as_json([of_dataset(division.train), *start.sources]),
    )
