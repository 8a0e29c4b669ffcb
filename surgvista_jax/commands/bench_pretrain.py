"""The command `surgvista bench pretrain`: step time, memory and share of the peak on this machine.

The batch is random and stays on the devices: what is measured is the step, without the loader.
"""

import argparse
import json

import flax.linen as nn
import jax
import numpy as np

from surgvista_jax.config import build, load_config
from surgvista_jax.config.printing import add_print_config, printed
from surgvista_jax.data.batches.masking import MASKS
from surgvista_jax.errors import UserError
from surgvista_jax.tasks.choosing.choice import refuse_choices
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.task import Pretraining, make_pretraining
from surgvista_jax.tasks.pretraining.train import settings_of
from surgvista_jax.training import processes
from surgvista_jax.training.agreement import facts_of_config
from surgvista_jax.training.benchmarks import as_table, bench_step, matrix_product, of_machine
from surgvista_jax.training.determinism import make_deterministic
from surgvista_jax.training.partition import RULES, make_mesh
from surgvista_jax.training.xla_options import in_words


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, metavar="FILE.py[:ARGUMENT]|FILE.json|FILE.toml")
    parser.add_argument("--steps", type=int, default=20, help="steps that are timed (20)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_print_config(parser)
    processes.add_arguments(parser)
    parser.epilog = "--config.a.b=VALUE replaces a value of the configuration"


def main(arguments: argparse.Namespace) -> None:
    if arguments.steps < 1:
        raise UserError(f"--steps={arguments.steps}: at least 1 is needed")
    values = load_config(
        arguments.config, PretrainConfig, arguments.overrides, kinds=("pretraining",)
    )
    config = build(PretrainConfig, values)
    refuse_choices(values, arguments.config)
    if printed(arguments, values, PretrainConfig, "pretraining"):
        return
    make_deterministic(config.compute.deterministic)
    facts = {**facts_of_config(values.to_dict(), ()), "--steps": str(arguments.steps)}
    with processes.joined(arguments, facts, keeps_compiled=False):
        result = bench_pretrain(config, arguments.steps)
        if jax.process_index() == 0:
            print(json.dumps(result) if arguments.json else as_table(result))


def bench_pretrain(config: PretrainConfig, steps: int) -> dict:
    """Times training steps on random clips.

    Returns:
        What was run and on what, the machine's own matrix product, and what `bench_step` measures;
        `gflop_per_clip` is of student (forward and backward) and teacher (forward).
    """
    task, mesh, settings = make_pretraining(config), make_mesh(config.mesh), settings_of(config)
    rng = np.random.default_rng(0)
    with jax.set_mesh(mesh), nn.logical_axis_rules(RULES):
        measured = bench_step(
            task,
            settings,
            lambda rows: random_batch(task, rng, rows),
            mesh,
            steps,
            config.clip.slide,
        )
    flops = task.student_flops_per_clip + task.teacher_flops_per_clip
    return {
        **of_machine(mesh),
        **matrix_product(),
        "batch_size": config.budget.batch_size,
        "clip": [config.clip.num_frames, config.clip.size, config.clip.size],
        "slide": config.clip.slide,
        "masks_per_clip": config.mask.masks_per_clip,
        "teacher": config.teacher is not None,
        "dtype": config.compute.dtype,
        "deterministic": config.compute.deterministic,
        "xla": in_words(dict(settings.options)),
        "gflop_per_clip": flops / 1e9,
        **measured,
    }


def random_batch(task: Pretraining, rng: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    """A batch of noise in the shapes of the configuration: clips, or stretches of them."""
    mask, shapes = task.config.mask, task.batch_shapes(rows)
    draws = [
        [MASKS[mask.kind](rng, task.grid, mask.ratio) for _ in range(task.masks_per_row)]
        for _ in range(rows)
    ]
    batch = {
        name: np.array([[drawn[part] for drawn in masks] for masks in draws], np.int32).reshape(
            shapes[name].shape
        )
        for part, name in enumerate(("visible_ids", "hidden_ids"))
    }
    batch["video"] = rng.integers(0, 256, shapes["video"].shape, np.uint8)
    if "weight" in shapes:
        batch["weight"] = np.ones(shapes["weight"].shape, np.float32)
    return batch
