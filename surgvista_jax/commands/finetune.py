"""The finetuning program: a labelled dataset and a backbone in, a classifier and predictions out.

`surgvista finetune --config=FILE.py --workdir=DIR [--config.a.b=VALUE …]`
"""

import argparse
import dataclasses
import functools
import signal
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import flax.linen as nn
import jax
import ml_collections

from surgvista_jax.config import build, load_config
from surgvista_jax.data.batches.division import divide
from surgvista_jax.data.batches.samples import labelled_samples
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.finetuning.probe import FEATURES, train_probe
from surgvista_jax.tasks.finetuning.start import RANDOM, StartingPoint, starting_point
from surgvista_jax.tasks.finetuning.task import Finetuning, make_finetuning
from surgvista_jax.tasks.finetuning.train import train_on_clips
from surgvista_jax.tasks.outcome import check_protocol, description, report_seeds, write_outcome
from surgvista_jax.tasks.selection import check_score
from surgvista_jax.tasks.temporal.task import TemporalConfig
from surgvista_jax.tasks.temporal.train import train_temporal
from surgvista_jax.training import processes
from surgvista_jax.training.partition import RULES, check_divisible, make_mesh
from surgvista_jax.training.rundir import CONFIG, claim
from surgvista_jax.weights.provenance import as_json, of_dataset

# What changes how a run is computed, watched or reported, but not its result.
FREE_KEYS = (
    *("loader", "mesh", "checkpoint", "loop", "compute.unroll", "compute.remat", "data.folder"),
    *("evaluation.batch_size", "evaluation.protocol"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", required=True, metavar="FILE.py[:ARGUMENT]", help="a file with get_config"
    )
    parser.add_argument(
        "--workdir", required=True, type=Path, help="the run's folder; a run there is continued"
    )
    processes.add_arguments(parser)
    parser.epilog = (
        "--config.a.b=VALUE replaces a value of the configuration, such as --config.init=WEIGHTS,"
        " --config.data.folder=DATASET, --config.mode=full|linear|attentive|lora, --config.seeds=3"
    )


def main(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config, config_class, arguments.overrides)
    processes.join(arguments)
    finished = run(config, arguments.workdir) or bool("loop" in config and config.loop.stop_after)
    # Cut short is no success, though nothing is lost: the shell's number for SIGTERM.
    return 0 if finished else 128 + signal.SIGTERM


def config_class(values: Mapping) -> type:
    """The dataclass of a configuration for this program: a temporal head has one of its own."""
    return TemporalConfig if values.get("mode") == "temporal" else FinetuneConfig


def run(config_dict: ml_collections.ConfigDict, workdir: Path) -> bool:
    """Runs, or continues, what a configuration asks for, once or for several seeds.

    Returns:
        Whether all came to its end; False if it was stopped before.

    Raises:
        UserError: whatever of the configuration, the data, the weights, the folder or the machine
            does not fit.
    """
    config = build(config_class(config_dict), config_dict)
    if isinstance(config, TemporalConfig):
        one_seed = train_temporal
    elif config.seeds > 1 and config.init != RANDOM:  # seeds then probe the same features
        one_seed = functools.partial(finetune, features=workdir / FEATURES)
    else:
        one_seed = finetune
    if config.seeds > 1 and (workdir / CONFIG).exists():
        raise UserError(f"{workdir}: holds a run of one seed; take another --workdir")
    if config.seeds == 1 and any(workdir.glob(f"seed*/{CONFIG}")):
        raise UserError(f"{workdir}: holds runs of several seeds; take another --workdir")
    if config.seeds == 1:
        return one_seed(config_dict, workdir)
    return _run_seeds(one_seed, config_dict, workdir)


def _run_seeds(
    one_seed: Callable[[ml_collections.ConfigDict, Path], bool],
    config: ml_collections.ConfigDict,
    workdir: Path,
) -> bool:
    """Runs once a seed, in `workdir/seed<n>`, and reports; returns whether all ended."""
    folders = []
    for seed in range(config.seed, config.seed + config.seeds):
        single = ml_collections.ConfigDict(config)
        with single.unlocked():
            single.seed, single.seeds = seed, 1
        folders.append(workdir / f"seed{seed}")
        if jax.process_index() == 0:
            print(f"seed {seed} -> {folders[-1]}", file=sys.stderr)
        if not one_seed(single, folders[-1]):
            return False
    if jax.process_index() == 0:
        print(report_seeds(folders, workdir, config.evaluation.protocol))
    return True


def finetune(
    config_dict: ml_collections.ConfigDict, workdir: Path, features: Path | None = None
) -> bool:
    """Runs, or continues, the finetuning of a configuration with one seed in a run folder.

    Args:
        features: where a linear probe keeps the features; in the run folder unless other runs
            share them.

    Returns, raises: as `run`.
    """
    config = build(FinetuneConfig, config_dict)
    data = config.data
    if not data.folder:
        raise UserError("config.data.folder is empty: say --config.data.folder=DATASET")
    division = divide(
        read_dataset(data.folder),
        train=data.train,
        val=data.val,
        test=data.test,
        select_on=config.select_on,
        hold_out=data.hold_out,
    )
    train = division.train
    check_score(config.evaluation.score, train.label_kind, len(train.classes))
    check_protocol(config.evaluation.protocol, train)  # not only after hours of training
    start = starting_point(config)
    samples = labelled_samples(division.train, start.clip)
    for part in filter(None, (division.selection, division.test)):
        labelled_samples(part, start.clip)  # what it raises is not raised after hours of training
    task = make_finetuning(config, start.model, start.clip, division.train, samples.label)
    mesh = make_mesh(config.mesh)
    budget = config.budget
    check_divisible(
        mesh, batch_size=budget.batch_size, accumulate=budget.accumulate, dims=task.sharded_dims
    )
    check_divisible(
        mesh, batch_size=config.evaluation.batch_size, key="config.evaluation.batch_size"
    )
    claim(workdir, config_dict, FREE_KEYS)
    about = _about(task, train, start)
    if jax.process_index() == 0:
        print(division.summary(), file=sys.stderr)

    with jax.set_mesh(mesh), nn.logical_axis_rules(RULES):
        loaded = start.variables or {}
        if config.mode == "linear":
            kept = features or workdir / FEATURES
            outcome = train_probe(task, loaded, division, workdir, mesh, about, kept)
        else:
            outcome = train_on_clips(task, loaded, division, len(samples), workdir, mesh, about)
    if outcome is None:
        return False
    write_outcome(workdir, config, division, *outcome, about)
    return True


def _about(task: Finetuning, train: Dataset, start: StartingPoint) -> dict:
    """What the finetuned model is, as JSON values."""
    config = task.config
    return description(
        config,
        train,
        name=f"{config.mode} finetuning of {config.init}",
        init=config.init,
        init_digest=start.origin,
        model=dataclasses.asdict(task.model),
        head=dataclasses.asdict(config.head),
        clip=dataclasses.asdict(task.clip),
        sources=as_json([of_dataset(train), *start.sources]),
    )
