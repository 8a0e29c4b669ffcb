"""The command `surgvista bench predict`: clips/s of a finetuned model, and the wait for one clip.

The clips are random and stay on the devices: what is measured is the model, without the loader. A
frame that comes live, and a video file, are measured from end to end.
"""

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import numpy as np
from jax.sharding import Mesh

from surgvista_jax.config import build, load_config
from surgvista_jax.config.printing import add_print_config, printed
from surgvista_jax.errors import UserError
from surgvista_jax.inference.batch_memory import usual_batch
from surgvista_jax.inference.every_clip import EveryClip
from surgvista_jax.inference.speed import frame_latency, video_speed
from surgvista_jax.inference.trained import Meaning, TrainedClassifier
from surgvista_jax.models.flops import backbone_flops
from surgvista_jax.tasks.choosing.choice import refuse_choices
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.finetuning.rehearsal import rehearse
from surgvista_jax.tasks.finetuning.task import Finetuning
from surgvista_jax.training.benchmarks import (
    as_table,
    compile_twice,
    matrix_product,
    median_seconds,
    memory_of,
    of_machine,
    utilisation,
)
from surgvista_jax.training.determinism import make_deterministic
from surgvista_jax.training.devices import start_devices
from surgvista_jax.training.partition import (
    RULES,
    MeshConfig,
    check_divisible,
    make_mesh,
    to_global,
)
from surgvista_jax.training.state import create_sharded
from surgvista_jax.training.xla_options import in_words, options_for

_LIVE_FPS = 25.0  # of the camera; all its frames are predicted


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config",
        required=True,
        metavar="FILE.py[:ARGUMENT]|FILE.json|FILE.toml",
        help="of finetuning: says the backbone, the head and the clips",
    )
    parser.add_argument(
        "--batch-size",
        type=int,
        help="clips at a time (64, of --video 32; on processors 4: as `predict`)",
    )
    parser.add_argument("--steps", type=int, default=20, help="batches that are timed (20)")
    parser.add_argument("--classes", type=int, default=7, help="that are told apart (7)")
    parser.add_argument(
        "--video", type=Path, metavar="FILE", help="a video file that is predicted from end to end"
    )
    parser.add_argument("--fps", type=float, default=1.0, help="of it that are looked at (1)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_print_config(parser)
    parser.epilog = (
        "--config.a.b=VALUE replaces a value of the configuration. But for --video no data is read;"
        " the backbone is that of --config.init, or a random one. Live is from a frame that has"
        " come to its label, as `predict --stream` gives it, of a made-up camera: 854x480,"
        f" {_LIVE_FPS:g} frames a second."
    )


def main(arguments: argparse.Namespace) -> None:
    for name in ("batch_size", "steps", "classes"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            option = f"--{name.replace('_', '-')}={value}"
            raise UserError(f"{option}: at least 1 is needed")
    values = load_config(
        arguments.config, FinetuneConfig, arguments.overrides, kinds=("finetuning",)
    )
    config = build(FinetuneConfig, values)
    # Where a probe is asked for, its backbone is what takes time.
    config = dataclasses.replace(config, mode="full" if config.mode == "linear" else config.mode)
    refuse_choices(values, arguments.config)
    if printed(arguments, values, FinetuneConfig, "finetuning"):
        return
    make_deterministic(config.compute.deterministic)
    start_devices()
    if not 0 < arguments.fps <= 1000:
        raise UserError(f"--fps={arguments.fps:g}: should be above 0, at most 1000")
    task = rehearse(config, arguments.classes)
    mesh = make_mesh(MeshConfig())
    size = arguments.batch_size or usual_batch(mesh, elsewhere=64)
    result = bench_predict(task, size, arguments.steps)
    if arguments.video is not None:
        size = arguments.batch_size or usual_batch(mesh)  # as `predict` reads videos
        result |= bench_video(task, size, arguments.video, arguments.fps)
    print(json.dumps(result) if arguments.json else as_table(result))


def bench_predict(task: Finetuning, batch_size: int, steps: int) -> dict[str, Any]:
    """Times predictions of random clips, a batch over all devices and one clip on one device.

    Returns:
        What was run and on what, the machine's own matrix product, what `bench_step` returns but
        for the loss, `one_clip_ms` with `one_clip_program_mib`, and what `frame_latency` returns.
    """
    config, mesh = task.config, make_mesh(MeshConfig())
    check_divisible(mesh, batch_size=batch_size, key="--batch-size")
    batch = _measure(task, mesh, batch_size, steps)
    first = make_mesh(MeshConfig(data=1), jax.devices()[:1])
    alone = _measure(task, first, 1, 5 * steps)
    live = frame_latency(_trained(task, first), 5 * steps)
    flops = backbone_flops(task.model, task.clip.num_frames, task.clip.size)
    rate = 1000 * batch_size / batch["step_ms"]
    return {
        **of_machine(mesh),
        **matrix_product(),
        "batch_size": batch_size,
        "clip": [task.clip.num_frames, task.clip.size, task.clip.size],
        "dtype": config.compute.dtype,
        "xla": in_words(options_for("prediction", config.compute.xla)),
        "gflop_per_clip": flops / 1e9,
        "clips_per_second": rate,
        "mfu": utilisation(rate, flops, mesh),
        **batch,
        "one_clip_ms": alone["step_ms"],
        "one_clip_program_mib": alone["program_mib"],
        **live,
    }


def bench_video(task: Finetuning, batch_size: int, path: Path, fps: float) -> dict[str, Any]:
    """What `video_speed` says of a file with the task's model on all devices."""
    mesh = make_mesh(MeshConfig())
    every_clip = _every_clip(task, mesh, batch_size)
    with jax.set_mesh(mesh), nn.logical_axis_rules(RULES):
        variables = create_sharded(task.init_params, mesh)
        batch = _random_batch(task, mesh, every_clip.at_once)
        jax.block_until_ready(every_clip.program(variables, batch))
        return video_speed(every_clip, variables, path, fps)


def _measure(task: Finetuning, mesh: Mesh, clips: int, times: int) -> dict[str, Any]:
    """Times the program that evaluations and `predict` run."""
    every_clip = _every_clip(task, mesh, clips)
    with jax.set_mesh(mesh), nn.logical_axis_rules(RULES):
        variables = create_sharded(task.init_params, mesh)
        batch = _random_batch(task, mesh, every_clip.at_once)
        program, cold, again = compile_twice(lambda: every_clip.program.lower(variables, batch))
        seconds = median_seconds(lambda: program(variables, batch), times)
    return {
        "step_ms": 1000 * seconds * clips / every_clip.at_once,
        "compile_seconds": cold,
        "compile_again_seconds": again,
        **memory_of(program, mesh),
    }


def _trained(task: Finetuning, mesh: Mesh) -> TrainedClassifier:
    """The task's model as `predict` reads one, of a camera's every frame."""
    with jax.set_mesh(mesh), nn.logical_axis_rules(RULES):
        params = jax.device_get(create_sharded(task.init_params, mesh))
    labels = task.labels
    meaning = Meaning(labels.classes, labels.kind, "phase", _LIVE_FPS, task.clip)
    return TrainedClassifier(
        name="random", classifier=task.classifier, params=params, meaning=meaning
    )


def _every_clip(task: Finetuning, mesh: Mesh, clips: int) -> EveryClip:
    config = task.config
    return EveryClip(
        task.classifier.predict, task.clip, config.loader, mesh, clips, xla=config.compute.xla
    )


def _random_batch(task: Finetuning, mesh: Mesh, clips: int) -> dict[str, jax.Array]:
    shape = (clips, task.clip.num_frames)
    video = (*shape, task.clip.size, task.clip.size, 3)
    return to_global(
        mesh,
        {
            "video": np.random.default_rng(0).integers(0, 256, video, np.uint8),
            "unreadable": np.zeros(shape, bool),
            "weight": np.ones(clips, np.float32),
            **{key: np.zeros(clips, np.int32) for key in ("video_index", "frame", "label")},
        },
    )
