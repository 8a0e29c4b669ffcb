"""The pretraining program: a dataset folder in, a pretrained student out."""

import dataclasses
import functools
import sys
from collections.abc import Callable
from pathlib import Path

import flax.linen as nn
import jax
import ml_collections
import numpy as np

from surgvista_jax.config import build
from surgvista_jax.data.batches.loader import BatchLoader
from surgvista_jax.data.batches.masked import pretrain_batches
from surgvista_jax.data.batches.share import Share
from surgvista_jax.data.batches.stretches import StretchIndex, stretch_frames, stretches_of
from surgvista_jax.data.dataset import Dataset, fingerprint
from surgvista_jax.data.storage.records import shard_faults
from surgvista_jax.inference.computed import of_compute, of_data, sentences
from surgvista_jax.tasks import free_keys
from surgvista_jax.tasks.beginning import say, warn, warn_of_data, warn_of_memory
from surgvista_jax.tasks.clip_names import clip_names
from surgvista_jax.tasks.ending import tell_pretrained
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.data import check_folder, read_data
from surgvista_jax.tasks.pretraining.float8_scales import (
    add_scales,
    check_program,
    multiplies_float8,
)
from surgvista_jax.tasks.pretraining.reconstruction import figure_hook
from surgvista_jax.tasks.pretraining.seen import SEEN, tell_seen
from surgvista_jax.tasks.pretraining.start import start
from surgvista_jax.tasks.pretraining.task import Pretraining, make_pretraining
from surgvista_jax.training.beforehand import check_memory, check_mesh
from surgvista_jax.training.determinism import make_deterministic
from surgvista_jax.training.goodput import timed
from surgvista_jax.training.longer import length_of_budget
from surgvista_jax.training.loop import Finished
from surgvista_jax.training.optim import adamw, long_warmup
from surgvista_jax.training.partition import RULES, make_mesh
from surgvista_jax.training.processes import agree
from surgvista_jax.training.run import Data, TrainConfig, train
from surgvista_jax.training.run_files import ownership
from surgvista_jax.training.rundir import DESCRIBED, claim, described_digest, read_config
from surgvista_jax.training.sole import alone_in_workdir
from surgvista_jax.training.tracking import check_tracking, tracked, tracking_files
from surgvista_jax.training.xla_options import as_compiled, options_for
from surgvista_jax.weights.provenance import as_json, of_dataset

KIND = "pretraining"
_FEW = 0.5  # of places with a clip, below which a run is warned


@timed
@alone_in_workdir
def pretrain(
    config_dict: ml_collections.ConfigDict, workdir: Path, overwrite: bool = False
) -> Finished:
    """Runs, or continues, the pretraining of a configuration in a run folder.

    Args:
        overwrite: whether files in the run's way that no run has written may be replaced.

    Raises:
        UserError: whatever of the configuration, the data, the folder or the machine does not fit.
    """
    config = build(PretrainConfig, config_dict)
    check_tracking(config.tracking)
    make_deterministic(config.compute.deterministic)
    check_folder(config.data.folder)
    task = make_pretraining(config)
    mesh = make_mesh(config.mesh)
    check_mesh(mesh, config.budget, task, config.clip.slide)
    read = read_data(config.data)
    dataset = read.dataset
    stretches = stretches_of(
        [video.num_frames for video in dataset.videos], config.clip, config.model.tubelet
    )
    settings = settings_of(config)
    warn_of_memory(
        lambda: check_memory(
            task,
            settings,
            task.batch_shapes,
            mesh,
            config.compute,
            task.stacks,
            config.clip.slide,
        ),
        config.compute.check_memory,
        workdir,
    )
    begun = start(task)
    task = begun.task
    agree({"data": fingerprint(dataset), **{k: str(v) for k, v in begun.digests.items()}})
    owned = ownership(workdir, overwrite)
    length = length_of_budget(stretches.places)
    values = as_compiled(config_dict, _program_of(config))
    files = [*tracking_files(config.tracking), SEEN]
    changed = claim(
        workdir, values, PretrainConfig, KIND, free_keys.PRETRAINING, owned, files, length
    )
    if changed is not None:
        an_epoch = config.budget.steps_per_epoch(stretches.places)
        say(f"{workdir}: {changed.in_words(settings.optimizer, an_epoch)}")
    for remark in read.remarks():
        say(remark)
    _warn_of_faults(dataset)
    warn_of_data(dataset, config.clip)
    data = _data(task, dataset, stretches)
    warn(long_warmup(config.optim, config.budget, data.clips))
    with (
        tracked(workdir, config.tracking, owned) as tracking,
        jax.set_mesh(mesh),
        nn.logical_axis_rules(RULES),
    ):
        source = {
            "teacher": str(begun.digests["teacher"]),
            "data": fingerprint(dataset),
            "seed": config.seed,
            "clip": dataclasses.asdict(config.clip),
            "tubelet": config.model.tubelet,
        }
        scales = add_scales(task, begun.loaded, dataset, workdir, mesh, owned, source)
        finished = train(
            task,
            data,
            settings,
            workdir,
            mesh=mesh,
            loaded=begun.loaded,
            meta={
                "data": fingerprint(dataset),
                "fps": dataset.fps,
                **begun.digests,
                **scales,
                "seed": config.seed,
                "batch_size": config.budget.batch_size,
                "sources": as_json([of_dataset(dataset), *begun.sources]),
                "computed": [
                    *begun.computed,
                    *sentences((*of_compute(config.compute), *of_data(dataset))),
                ],
                DESCRIBED: described_digest(read_config(workdir).values),
            },
            hooks=lambda run: [figure_hook(task, dataset, run)],
        )
        tracking.ended = finished.step == config.budget.num_steps(data.clips)
    if not finished.preempted:
        tell_seen(owned, config, read, stretches, finished.step)
    tell_pretrained(workdir, finished, config.budget.num_steps(data.clips))
    return finished


def settings_of(config: PretrainConfig) -> TrainConfig:
    """How a configuration trains, on the devices that are here."""
    return TrainConfig(
        config.budget,
        adamw(config.optim, config.budget.batch_size),
        config.checkpoint,
        config.loop,
        config.seed,
        options=options_for(_program_of(config), config.compute.xla),
        check=_check_of(config),
        program=KIND,
    )


def _program_of(config: PretrainConfig) -> str:
    """The step's name in the table of the compiler's options."""
    return f"{KIND} with float8" if multiplies_float8(config.teacher) else KIND


def _check_of(config: PretrainConfig) -> Callable[[str], None] | None:
    """What is looked at in the compiled step."""
    teacher = config.teacher
    if teacher is None or not multiplies_float8(teacher):
        return None
    blocks = teacher.transformer.depth if config.compute.unroll else 1
    return functools.partial(check_program, blocks=blocks)


def _data(task: Pretraining, dataset: Dataset, stretches: StretchIndex) -> Data:
    """The clips of a dataset, masked."""
    config, clip = task.config, task.config.clip
    slide, num_frames = clip.slide, stretch_frames(clip, config.model.tubelet)

    def batches(rows: np.ndarray, start_step: int, num_steps: int) -> BatchLoader:
        return pretrain_batches(
            dataset,
            clip,
            config.mask,
            config.loader,
            Share(config.budget.batch_size // slide, rows, start_step, num_steps),
            grid=task.grid,
            seed=config.seed,
            weights=config.data.mixture,
        )

    stretch = dataclasses.replace(clip, num_frames=num_frames, slide=1)
    return Data(
        stretches.places,
        batches,
        clip_names(dataset, stretch),
        task.batch_shapes,
        together=slide,
        filled=_filled(stretches, slide),
        videos=len(dataset.videos),
    )


def _filled(stretches: StretchIndex, slide: int) -> float:
    """The share of places that hold a clip, which is said where clips slide."""
    filled = stretches.filled
    if slide == 1:
        return filled
    say(
        f"{stretches.clips:,} clips slide by {slide} over {len(stretches):,} stretches, of whose"
        f" places {1 - filled:.1%} are empty, before the first frames of videos"
    )
    if filled < _FEW:
        warn(f"config.clip.slide={slide}: most of its places are empty: take a smaller one")
    return filled


def _warn_of_faults(dataset: Dataset) -> None:
    if jax.process_index() == 0:
        for folder in dict.fromkeys(folder for folder, _ in dataset.places()):
            for fault in shard_faults(folder):
                print(f"WARNING: {fault}", file=sys.stderr)
