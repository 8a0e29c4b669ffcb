"""The programs behind `finetune`, and their runs for several seeds."""

import functools
import sys
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import NamedTuple

import jax
import ml_collections

from surgvista_jax.config import build
from surgvista_jax.errors import UserError
from surgvista_jax.ownership import Ownership
from surgvista_jax.tasks.choosing.choice import CHOOSE, begun_choices, with_one_length
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.finetuning.kept_features import FEATURES
from surgvista_jax.tasks.finetuning.own import chosen
from surgvista_jax.tasks.finetuning.seen import with_seen_clips
from surgvista_jax.tasks.finetuning.train import finetune
from surgvista_jax.tasks.outcome import report_seeds, seeds_files
from surgvista_jax.tasks.temporal.config import TemporalConfig
from surgvista_jax.tasks.temporal.train import train_temporal
from surgvista_jax.training.run_files import CONFIG, seeds_ownership
from surgvista_jax.training.sole import alone_in_workdir


class Program(NamedTuple):
    """What is trained on labels.

    Attributes:
        config: the dataclass of its configurations.
        run: (configuration, run folder) -> whether the run of one seed came to its end.
        shares: whether runs of several seeds share a folder of features, given as `features`.
        sees_clips: whether its clips are those of the weights that it starts from.
        kind: what `config.json` calls its runs.
    """

    config: type[FinetuneConfig] | type[TemporalConfig]
    run: Callable[..., bool]
    shares: bool = False
    sees_clips: bool = False
    kind: str = "finetuning"


_BY_MODE = {"temporal": Program(TemporalConfig, train_temporal, kind="temporal")}
_FINETUNING = Program(FinetuneConfig, finetune, shares=True, sees_clips=True)


def program_of(values: Mapping) -> Program:
    """The program of a configuration: that of its mode where the mode has one of its own."""
    return _BY_MODE.get(str(values.get("mode", "")), _FINETUNING)


def resolved(
    config_dict: ml_collections.ConfigDict, told: Collection[str], workdir: Path | None = None
) -> ml_collections.ConfigDict:
    """The configuration with what a program reads off its weights, as far as nothing else is said.

    Args:
        told: keys that the command line says, such as "clip.size".
        workdir: of the run that begins or goes on; None where there is none.

    Raises:
        UserError: the configuration does not fit.
    """
    program = program_of(config_dict)
    if config_dict.get(CHOOSE):
        config_dict = with_one_length(config_dict, told).lock()
    build(program.config, config_dict)
    if config_dict.get(CHOOSE):
        begun = begun_choices(config_dict, told, workdir)
        return chosen(config_dict, told) if begun is None else begun.lock()
    return with_seen_clips(config_dict, told, workdir) if program.sees_clips else config_dict


@alone_in_workdir
def run(
    config_dict: ml_collections.ConfigDict,
    workdir: Path,
    told: Collection[str] = (),
    overwrite: bool = False,
    features: Path | None = None,
) -> bool:
    """Runs, or continues, what a configuration asks for, once or for several seeds.

    Args:
        told: keys that the command line says, such as "clip.size".
        overwrite: whether files in the run's way that no run has written may be replaced.
        features: where linear probes keep their features, for runs that share them; None: in
            `workdir`.

    Returns:
        Whether all came to its end; False if it was stopped before.

    Raises:
        UserError: whatever of the configuration, the data, the weights, the folder or the machine
            does not fit.
    """
    program = program_of(config_dict)
    config_dict = resolved(config_dict, told, workdir)
    config = build(program.config, config_dict)
    one_seed = functools.partial(program.run, overwrite=overwrite)
    if features is not None and (not program.shares or config.mode != "linear"):
        raise UserError(f"--probe-features={features}: mode={config.mode} keeps none")
    if program.shares and (config.seeds > 1 or features is not None):
        one_seed = functools.partial(one_seed, features=features or workdir / FEATURES)
    if config.seeds > 1 and (workdir / CONFIG).exists():
        raise UserError(f"{workdir}: holds a run of one seed; take another --workdir")
    if config.seeds == 1 and any(workdir.glob(f"seed*/{CONFIG}")):
        raise UserError(f"{workdir}: holds runs of several seeds; take another --workdir")
    if config.seeds == 1:
        return one_seed(config_dict, workdir)
    owned = seeds_ownership(workdir, overwrite)
    owned.check(workdir / name for name in seeds_files(config.evaluation.protocol))
    return _run_seeds(one_seed, config_dict, owned)


def _run_seeds(
    one_seed: Callable[..., bool],
    config: ml_collections.ConfigDict,
    owned: Ownership,
) -> bool:
    """Runs once a seed, in folders `seed<n>`, and reports; returns whether all ended."""
    folders = []
    for seed in range(config.seed, config.seed + config.seeds):
        single = config.copy_and_resolve_references()
        with single.unlocked():
            single.seed, single.seeds = seed, 1
        folders.append(owned.folder / f"seed{seed}")
        if jax.process_index() == 0:
            print(f"seed {seed} -> {folders[-1]}", file=sys.stderr)
        if not one_seed(single, folders[-1], one_of_several=True):
            return False
    if jax.process_index() == 0:
        print(report_seeds(folders, owned, config.evaluation.protocol))
    return True
