"""The command `surgvista bench finetune`: step time, memory and share of the peak of finetuning.

The batch is random and stays on the devices: what is measured is the step, without the loader.
"""

import argparse
import json

import flax.linen as nn
import jax
import numpy as np

from surgvista_jax.config import build, load_config
from surgvista_jax.config.printing import add_print_config, printed
from surgvista_jax.errors import UserError
from surgvista_jax.tasks.choosing.choice import refuse_choices
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.finetuning.descent import settings_of
from surgvista_jax.tasks.finetuning.rehearsal import random_batch, rehearse
from surgvista_jax.training import processes
from surgvista_jax.training.agreement import facts_of_config
from surgvista_jax.training.benchmarks import as_table, bench_step, matrix_product, of_machine
from surgvista_jax.training.determinism import make_deterministic
from surgvista_jax.training.partition import RULES, make_mesh
from surgvista_jax.training.xla_options import in_words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, metavar="FILE.py[:ARGUMENT]|FILE.json|FILE.toml")
    parser.add_argument("--steps", type=int, default=20, help="steps that are timed (20)")
    parser.add_argument("--classes", type=int, default=7, help="that are told apart (7)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_print_config(parser)
    processes.add_arguments(parser)
    parser.epilog = (
        "--config.a.b=VALUE replaces a value of the configuration. No data is read; the backbone is"
        " that of --config.init, or a random one."
    )


def main(arguments: argparse.Namespace) -> None:
    for name in ("steps", "classes"):
        if getattr(arguments, name) < 1:
            raise UserError(f"--{name}={getattr(arguments, name)}: at least 1 is needed")
    values = load_config(
        arguments.config, FinetuneConfig, arguments.overrides, kinds=("finetuning",)
    )
    config = build(FinetuneConfig, values)
    refuse_choices(values, arguments.config)
    if printed(arguments, values, FinetuneConfig, "finetuning"):
        return
    make_deterministic(config.compute.deterministic)
    asked = {f"--{name}": str(getattr(arguments, name)) for name in ("steps", "classes")}
    facts = {**facts_of_config(values.to_dict(), ()), **asked}
    with processes.joined(arguments, facts, keeps_compiled=False):
        result = bench_finetune(config, arguments.classes, arguments.steps)
        if jax.process_index() == 0:
            print(json.dumps(result) if arguments.json else as_table(result))


def bench_finetune(config: FinetuneConfig, classes: int, steps: int) -> dict:
    """Times training steps on random clips.

    Returns:
        What was run and on what, the machine's own matrix product, and what `bench_step` measures.
    """
    task, mesh, settings = rehearse(config, classes), make_mesh(config.mesh), settings_of(config)
    rng = np.random.default_rng(0)
    with jax.set_mesh(mesh), nn.logical_axis_rules(RULES):
        measured = bench_step(
            task, settings, lambda clips: random_batch(task, rng, clips), mesh, steps
        )
    return {
        **of_machine(mesh),
        **matrix_product(),
        "batch_size": config.budget.batch_size,
        "clip": [task.clip.num_frames, task.clip.size, task.clip.size],
        "mode": config.mode,
        "dtype": config.compute.dtype,
        "deterministic": config.compute.deterministic,
        "xla": in_words(dict(settings.options)),
        "gflop_per_clip": task.flops_per_clip["mfu"] / 1e9,
        **measured,
    }
