"""The command `surgvista bench plan`: memory and hours of a run on devices that are not here."""

import argparse
import json
import math
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import ml_collections

from surgvista_jax.config import build, load_config
from surgvista_jax.config.printing import add_print_config, printed
from surgvista_jax.data.batches.samples import labelled_samples
from surgvista_jax.data.batches.stretches import stretches_of
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.models.attention import planned_for
from surgvista_jax.models.layers import ComputeConfig
from surgvista_jax.tasks.choosing.choice import refuse_choices
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.finetuning.descent import settings_of as settings_of_finetuning
from surgvista_jax.tasks.finetuning.rehearsal import rehearse
from surgvista_jax.tasks.finetuning.task import Finetuning
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.data import read_data
from surgvista_jax.tasks.pretraining.task import Pretraining, make_pretraining
from surgvista_jax.tasks.pretraining.train import settings_of as settings_of_pretraining
from surgvista_jax.training.beforehand import check_mesh, need_of_step
from surgvista_jax.training.divided_step import collectives_of_step, simulate
from surgvista_jax.training.interconnects import interconnect, seconds
from surgvista_jax.training.memory import Need, bytes_of_one, size_of
from surgvista_jax.training.partition import BATCH_AXES, RULES, MeshConfig, imagined_mesh
from surgvista_jax.training.planning import DEVICES, rate_of
from surgvista_jax.training.run import TrainConfig, abstract_state
from surgvista_jax.training.xla_options import parse

_GIB = 2**30
_USUAL_CLASSES = 7


class Plan(NamedTuple):
    """What is planned for.

    Attributes:
        program: "pretraining" or "finetuning".
        task, settings, compute, mesh: of its configuration.
        slide: clips of a row of a batch.
        folder: of the data; "" where the configuration names none.
    """

    program: str
    task: Pretraining | Finetuning
    settings: TrainConfig
    compute: ComputeConfig
    mesh: MeshConfig
    slide: int
    folder: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", required=True, metavar="FILE.py[:ARGUMENT]|FILE.json|FILE.toml")
    device = parser.add_argument(
        "--device", required=True, choices=sorted(DEVICES), help="what it runs on"
    )
    parser.add_argument("--devices", type=int, default=1, metavar="N", help="how many (1)")
    parser.add_argument(
        "--clips", type=int, metavar="N", help="that make an epoch (those of config.data.folder)"
    )
    parser.add_argument(
        "--collectives",
        action="store_true",
        help="compile the step for as many simulated devices, and say what they exchange",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_print_config(parser, waived=[device])
    parser.epilog = (
        "--config.a.b=VALUE replaces a value of the configuration. Nothing is computed, and no"
        " device is asked for; memory is for the share of a GPU that JAX takes"
        " (XLA_PYTHON_CLIENT_MEM_FRACTION, 0.75)."
    )


def main(arguments: argparse.Namespace) -> None:
    for name in ("devices", "clips"):
        value = getattr(arguments, name)
        if value is not None and not 1 <= value <= 10**9:
            raise UserError(f"--{name}={value}: should be from 1 to 10^9")
    kinds = ("pretraining", "finetuning")
    values = load_config(arguments.config, _class_of, arguments.overrides, kinds=kinds)
    refuse_choices(values, arguments.config)
    kind = "pretraining" if "mask" in values else "finetuning"
    if printed(arguments, values, _class_of(values), kind):
        return
    jax.config.update("jax_platforms", "cpu")
    if arguments.collectives:
        interconnect(arguments.device)
        simulate(arguments.devices)
    result = plan(
        _read(values),
        arguments.device,
        arguments.devices,
        arguments.clips,
    )
    if arguments.collectives:
        values.compute.unroll = False  # the same exchanges, compiled in a fraction of the time
        result |= exchanged(_read(values), arguments.device, arguments.devices, result)
    print(json.dumps(result) if arguments.json else _table(result))


def _class_of(values: Mapping) -> type[PretrainConfig] | type[FinetuneConfig]:
    return PretrainConfig if "mask" in values else FinetuneConfig


def _read(values: ml_collections.ConfigDict) -> Plan:
    if "mask" in values:
        config = build(PretrainConfig, values)
        task = make_pretraining(config)
        return Plan(
            *("pretraining", task, settings_of_pretraining(config), config.compute, config.mesh),
            *(config.clip.slide, config.data.folder),
        )
    finetuned = build(FinetuneConfig, values)
    rehearsed = rehearse(finetuned, _USUAL_CLASSES)
    return Plan(
        *("finetuning", rehearsed, settings_of_finetuning(finetuned), finetuned.compute),
        *(finetuned.mesh, 1, finetuned.data.folder),
    )


def plan(asked: Plan, device: str, count: int, clips: int | None) -> dict[str, Any]:
    """Memory on one device by part (bytes), the largest batch, the rate, and the whole recipe.

    Args:
        device: of `DEVICES`.
        count: devices.
        clips: that make an epoch; None: those of the data, where there are some.
    """
    where, budget = DEVICES[device], asked.settings.budget
    mesh = imagined_mesh(asked.mesh, count)
    check_mesh(mesh, budget, asked.task, asked.slide)
    with (
        jax.sharding.use_abstract_mesh(mesh),
        nn.logical_axis_rules(RULES),
        planned_for(where.backend),
    ):
        need = need_of_step(
            *(asked.task, asked.settings, asked.task.batch_shapes, mesh),
            *(asked.compute, asked.task.stacks, asked.slide),
        )
        state = abstract_state(asked.task, asked.settings, mesh)
    inputs = need.clips * size_of(asked.task.batch_shapes(1)) / asked.slide
    memory = {
        "parameters": bytes_of_one(state.params),
        "moments": bytes_of_one(state.opt_state),
        "running_mean": bytes_of_one(state.average),
        "gradients": need.gradients,
        "frozen": need.frozen,
        "activations": need.per_clip * need.clips - inputs,
        "inputs": inputs,
        "total": need.total,
        "usable": where.usable,
    }
    shares = math.prod(mesh.shape[axis] for axis in BATCH_AXES)
    flops = asked.task.flops_per_clip["mfu"]
    rate = rate_of(asked.program, device, flops, _as_measured(asked))
    clips = _clips(asked) if clips is None else clips
    return {
        "program": asked.program,
        "device": device,
        "devices": count,
        "mesh": dict(mesh.shape),
        "batch_size": budget.batch_size,
        "accumulate": budget.accumulate,
        "memory_bytes": memory,
        "fits": need.total <= where.usable,
        "largest_batch": _largest_batch(need, where.usable, shares, asked.slide)
        * budget.accumulate,
        "gflop_per_clip": flops / 1e9,
        "clips_per_second": rate.clips_per_second * count,
        "measured": rate.measured and count == 1,
        "rate_from": rate.source + (f", times {count}" if count > 1 else ""),
        "clips_per_epoch": clips,
        **_of_the_recipe(asked, rate.clips_per_second, count, clips),
    }


def exchanged(asked: Plan, device: str, count: int, planned: Mapping[str, Any]) -> dict[str, Any]:
    """What devices exchange in a step, how long that takes at best, and the step with it.

    Args:
        planned: what `plan` says.
    """
    links, mesh = interconnect(device), planned["mesh"]
    rows = asked.settings.budget.batch_size // asked.slide
    shapes = asked.task.batch_shapes(rows)
    found = collectives_of_step(asked.task, asked.settings, shapes, asked.mesh, count)
    told = [
        {**one._asdict(), "sent": one.sent, "seconds": seconds(one, mesh, links)} for one in found
    ]
    talk = sum(row["seconds"] for row in told)
    work = planned["batch_size"] / planned["clips_per_second"]
    return {
        "collectives": told,
        "exchange_seconds": talk,
        "compute_seconds": work,
        "step_seconds": [max(work, talk), work + talk],
        "links": links.source,
    }


def _as_measured(asked: Plan) -> bool:
    """Whether it is computed as the programs were whose rates are known."""
    compute = asked.compute
    if compute.dtype != "bfloat16" or compute.remat != "none" or not compute.unroll:
        return False
    if compute.deterministic or parse(compute.xla):
        return False
    teacher = asked.task.config.teacher if isinstance(asked.task, Pretraining) else None
    return teacher is None or teacher.precision == "compute"


def _largest_batch(need: Need, usable: float, shares: int, together: int) -> int:
    """Clips over all devices of which a part fits; 0 where none does."""
    of_one = max(int((usable - need.fixed) // need.per_clip), 0)
    return (of_one - of_one % together) * shares


def _of_the_recipe(asked: Plan, rate: float, count: int, clips: int | None) -> dict[str, Any]:
    """Updates and hours of the whole run; None where the number of clips is not known."""
    budget = asked.settings.budget
    if budget.steps is None and clips is None:
        return {"steps": None, "hours": None, "device_hours": None}
    steps = budget.num_steps(clips or 0)
    hours = steps * budget.batch_size / (rate * count) / 3600
    return {"steps": steps, "hours": hours, "device_hours": hours * count}


def _clips(asked: Plan) -> int | None:
    """The clips of an epoch, read off the data that the configuration names."""
    if not asked.folder:
        return None
    try:
        return _clips_of_data(asked)
    except UserError as error:  # the data may lie where it will be trained
        print(f"{error}: its clips are not counted", file=sys.stderr)
        return None


def _clips_of_data(asked: Plan) -> int:
    if isinstance(asked.task, Pretraining):
        config = asked.task.config
        dataset = read_data(config.data).dataset
        lengths = [video.num_frames for video in dataset.videos]
        return stretches_of(lengths, config.clip, config.model.tubelet).places
    train = read_dataset(asked.folder).split(asked.task.config.data.train)
    return len(labelled_samples(train, asked.task.clip))


def _table(result: dict[str, Any]) -> str:
    memory = result["memory_bytes"]
    total, usable = memory["total"] / _GIB, memory["usable"] / _GIB
    hours = result["hours"]
    mesh = ", ".join(f"{axis} {size}" for axis, size in result["mesh"].items())
    said = "give --clips=N, of an epoch"
    if hours is not None:
        said = f"{result['steps']:,} updates, {hours:,.1f} h"
        said += f", {result['device_hours']:,.1f} device-hours"
    rows = [
        ("program", f"{result['program']}, {result['gflop_per_clip']:,.0f} GFLOP a clip"),
        ("devices", f"{result['devices']} x {result['device']} ({mesh})"),
        *((name.replace("_", " "), f"{memory[name] / _GIB:.2f} GiB") for name in list(memory)[:-2]),
        (
            "memory of a device",
            f"{total:.1f} of {usable:.1f} GiB, {'fits' if result['fits'] else 'DOES NOT FIT'}",
        ),
        ("batch", f"{result['batch_size']}, at most {result['largest_batch']}"),
        ("clips/s", f"{result['clips_per_second']:,.0f} ({result['rate_from']})"),
        ("whole recipe", said),
    ]
    for row in result.get("collectives", ()):
        name = f"{row['kind']} over {' x '.join(row['axes'])}"
        size = f"{row['times']:,} a step, {row['dtype']}, {row['bytes'] / 1e6:,.1f} MB"
        each = f"each sends {row['sent'] / 1e6:,.1f} MB, {1e3 * row['seconds']:.2f} ms at best"
        rows.append((name, f"{size}; {each}"))
    if "collectives" in result:
        hidden, shown = (1e3 * value for value in result["step_seconds"])
        words = f"{hidden:,.1f} ms if exchange hides behind computing, {shown:,.1f} ms if it cannot"
        rows += [("a step", words), ("links", result["links"])]
    width = max(len(name) for name, _ in rows)
    return "\n".join(f"{name:<{width}}  {value}" for name, value in rows)
