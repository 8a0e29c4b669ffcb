"""The command `surgvista bench pretrain`: step time, memory and share of the peak on this machine.

The batch is random and stays on the devices: what is measured is the step, without the loader.
"""

import argparse
import json
import statistics
import time

import flax.linen as nn
import jax
import numpy as np

from surgvista_jax.config import build, load_config
from surgvista_jax.data.batches.masking import MASKS
from surgvista_jax.errors import UserError
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.task import Pretraining, make_pretraining
from surgvista_jax.training import processes
from surgvista_jax.training.agreement import facts_of_config
from surgvista_jax.training.determinism import make_deterministic
from surgvista_jax.training.optim import make_optimizer
from surgvista_jax.training.partition import (
    RULES,
    batch_sharding,
    check_divisible,
    make_mesh,
    process_rows,
    to_global,
)
from surgvista_jax.training.peaks import peak_flops
from surgvista_jax.training.state import create_sharded, initial_state
from surgvista_jax.training.step import make_train_step


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, metavar="FILE.py[:ARGUMENT]|FILE.json|FILE.toml")
    parser.add_argument("--steps", type=int, default=20, help="steps that are timed (20)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    processes.add_arguments(parser)
    parser.epilog = "--config.a.b=VALUE replaces a value of the configuration"


def main(arguments: argparse.Namespace) -> None:
    if arguments.steps < 1:
        raise UserError(f"--steps={arguments.steps}: at least 1 is needed")
    values = load_config(
        arguments.config, PretrainConfig, arguments.overrides, kinds=("pretraining",)
    )
    config = build(PretrainConfig, values)
    make_deterministic(config.compute.deterministic)
    facts = {**facts_of_config(values.to_dict(), ()), "--steps": str(arguments.steps)}
    with processes.joined(arguments, facts, keeps_compiled=False):
        result = bench_pretrain(config, arguments.steps)
        if jax.process_index() == 0:
            print(json.dumps(result) if arguments.json else _table(result))


def bench_pretrain(config: PretrainConfig, steps: int) -> dict:
    """Times training steps on random clips.

    Returns:
        What was run and on what; `compile_seconds`, `step_ms` (median), `clips_per_second`,
        `gflop_per_clip` (student forward and backward, teacher forward), `mfu` and `mfu_student`
        (None where the device's peak is unknown), `program_mib` (what the compiled step reserves on
        one device) and `peak_mib` (what the device saw in use; None where it does not tell).
    """
    task = make_pretraining(config)
    mesh = make_mesh(config.mesh)
    batch_size = config.budget.batch_size
    check_divisible(
        mesh,
        batch_size=batch_size,
        accumulate=config.budget.accumulate,
        dims=task.sharded_dims,
        together=config.clip.slide,
    )
    optimizer = make_optimizer(config.optim)
    step = make_train_step(
        task.loss,
        optimizer,
        lambda _: jax.numpy.float32(config.optim.learning_rate),
        accumulate=config.budget.accumulate,
        seed=config.seed,
    )
    with jax.set_mesh(mesh), nn.logical_axis_rules(RULES):
        state = create_sharded(lambda: initial_state(task.init_trained(), optimizer), mesh)
        teacher_params = create_sharded(task.init_frozen, mesh)
        rows = process_rows(batch_sharding(mesh), batch_size // config.clip.slide)
        batch = to_global(mesh, random_batch(task, np.random.default_rng(0), len(rows)))
        start = time.perf_counter()
        compiled = jax.jit(step, donate_argnums=0).lower(state, teacher_params, batch).compile()
        compile_seconds = time.perf_counter() - start
        times = []
        for number in range(steps + 2):  # the first two warm the device up
            start = time.perf_counter()
            state, metrics = compiled(state, teacher_params, batch)
            jax.block_until_ready((state, metrics))
            if number >= 2:
                times.append(time.perf_counter() - start)
    seconds = statistics.median(times)
    device = mesh.devices.flat[0]
    peak = peak_flops(device.device_kind)
    flops = task.student_flops_per_clip + task.teacher_flops_per_clip
    clips_per_second = batch_size / seconds

    def utilisation(flops_per_clip: float) -> float | None:
        return None if peak is None else clips_per_second * flops_per_clip / (peak * mesh.size)

    in_use = (device.memory_stats() or {}).get("peak_bytes_in_use")
    return {
        "device": device.device_kind,
        "devices": mesh.size,
        "jax": jax.__version__,
        "batch_size": batch_size,
        "clip": [config.clip.num_frames, config.clip.size, config.clip.size],
        "slide": config.clip.slide,
        "masks_per_clip": config.mask.masks_per_clip,
        "teacher": config.teacher is not None,
        "dtype": config.compute.dtype,
        "deterministic": config.compute.deterministic,
        "loss": float(metrics["loss"]),
        "compile_seconds": compile_seconds,
        "step_ms": 1000 * seconds,
        "clips_per_second": clips_per_second,
        "gflop_per_clip": flops / 1e9,
        "mfu": utilisation(flops),
        "mfu_student": utilisation(task.student_flops_per_clip),
        "program_mib": _program_mib(compiled),
        "peak_mib": None if in_use is None else in_use / 2**20,
    }


def _program_mib(compiled: jax.stages.Compiled) -> float | None:
    """What a compiled step reserves on one device; None where the compiler does not tell it."""
    memory = compiled.memory_analysis()
    if memory is None:
        return None
    reserved = memory.argument_size_in_bytes + memory.output_size_in_bytes
    return (reserved - memory.alias_size_in_bytes + memory.temp_size_in_bytes) / 2**20


def random_batch(task: Pretraining, rng: np.random.Generator, rows: int) -> dict[str, np.ndarray]:
    """A batch of noise in the shapes of the configuration: clips, or stretches of them."""
    mask, shapes = task.config.mask, task.batch_shapes(rows)
    draws = [
        [MASKS[mask.kind](rng, task.grid, mask.ratio) for _ in range(task.masks_per_row)]
        for _ in range(rows)
    ]
    visible, hidden = (np.array([[m[i] for m in masks] for masks in draws]) for i in (0, 1))
    batch = {"visible_ids": visible, "hidden_ids": hidden}
    batch["video"] = rng.integers(0, 256, shapes["video"].shape, np.uint8)
    if "weight" in shapes:
        batch["weight"] = np.ones(shapes["weight"].shape, np.float32)
    return batch


def _table(result: dict) -> str:
    def share(value: float | None) -> str:
        return "peak of this device unknown" if value is None else f"{value:.1%}"

    frames, size, _ = result["clip"]
    teacher = "with teacher" if result["teacher"] else "without teacher"
    slide, masks = result["slide"], result["masks_per_clip"]
    shared = f", sliding by {slide}" * (slide > 1) + f", {masks} masks each" * (masks > 1)

    def memory(mib: float | None) -> str:
        return "not told here" if mib is None else f"{mib:.0f} MiB a device"

    rows = [
        ("device", f"{result['devices']} x {result['device']}, jax {result['jax']}"),
        ("clips", f"{result['batch_size']} of {frames}x{size}x{size}, {teacher}{shared}"),
        ("compute type", result["dtype"] + (", deterministic" * result["deterministic"])),
        ("compile time", f"{result['compile_seconds']:.1f} s"),
        ("step time", f"{result['step_ms']:.1f} ms (median)"),
        ("clips/s", f"{result['clips_per_second']:.1f}"),
        ("work per clip", f"{result['gflop_per_clip']:.1f} GFLOP"),
        ("FLOPs utilisation", share(result["mfu"])),
        ("  of the student alone", share(result["mfu_student"])),
        ("memory of the program", memory(result["program_mib"])),
        ("peak memory in use", memory(result["peak_mib"])),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
