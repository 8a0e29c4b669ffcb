"""What does `surgvista bench plan` say of the usual programs on each device? Tables in Markdown.

python docs/plans.py > docs/plans.md
"""

import contextlib
import io
import json
import subprocess
import sys
from typing import Any

import jax

from surgvista_jax import __version__
from surgvista_jax.__main__ import main
from surgvista_jax.training.collectives import Collective
from surgvista_jax.training.interconnects import INTERCONNECTS, seconds_of_all
from surgvista_jax.training.planning import DEVICES

PRETRAIN = "--config=configs/pretrain/surgvista.py{} --config.teacher.weights=random"
FINETUNE = "--config=configs/finetune/cholec80.py --config.init=random"
PROGRAMS = {
    "pretraining": f"{PRETRAIN.format('')} --config.budget.batch_size=64",
    "finetuning": f"{FINETUNE} --config.budget.batch_size=64",
}
# The paper's frames, each of which ends a clip once an epoch.
CLIPS = "--clips=3550000"
# Student, device, how many, what the mesh says besides.
RUNS = [
    *[("base", device, 8, "") for device in ("rtx4090", "a100", "h100", "h200")],
    *[("base", device, 64, "") for device in ("h100", "v4", "v5e", "v5p", "v6e")],
    *[("large", device, 64, "") for device in ("h100", "v5p")],
    *[("huge", device, 64, " --config.mesh.fsdp=8") for device in ("a100", "h100", "v5p", "v6e")],
]
# Of a step of ViT-H: how many devices, which are shared out alike, and on which it is timed.
SHARED = f"{PRETRAIN.format(':huge')} --config.mesh.fsdp=8"
STEPS = [(count, device) for count in (64, 256, 1024) for device in ("h100", "v5p", "v5e")]
_GIB = 2**30
HEAD = """\
# Tables of plans

What `surgvista bench plan` says, without any of these devices. Memory of GPUs is the share that JAX
takes, 0.75 of it (`XLA_PYTHON_CLIENT_MEM_FRACTION`). Where no measurement is on record, clips/s are
an estimate: those of one H100 (jax 0.11.2), scaled by operations and peaks; what several devices
lose by talking to one another is in the last table alone. `python docs/plans.py` made the page,
with {versions}."""


EXPLAINED = """
An all-reduce of which only a slice is used counts as the reduce-scatter that compilers for GPUs
and TPUs make of it. `fsdp` gathers each block's parameters in bfloat16 for the forward pass,
again for the backward pass, and the teacher's once; gradients are scattered over `fsdp`, and
their parts added up over `data`: nothing of it grows with the batch. `budget.accumulate=N` does
all of it N times.

## Up to 1,024 devices

The same step, 2,048 clips, in one part:
"""
ASSUMED = """
No row was run. Assumed: computing as in the tables above, one device's rate scaled by operations
and peaks, also where only 2 clips are left for each; every link at its maker's full rate, in one
direction half of what "bidirectional" says, and no time to start an exchange; a group that spans
machines or pods exchanges inside first, and each device then sends its part alone over the
network; 8 GPUs of a machine, 256 chips of v5e and 8,960 of v5p are together, and `fsdp` lies
inside. "Hidden": all exchange happens while devices compute; "not hidden": none does. Runs lie
between, and below where links do not reach their rates. 2,048 clips are too few for 1,024
devices: more clips an update are the way to use them. Sources of the rates:
"""


def plan(words: str, device: str, count: int = 1) -> dict[str, Any]:
    """What the command says of a program on so many devices, as its JSON."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        command = f"bench plan {words} --device={device} --devices={count} --json"
        assert main(command.split()) == 0, command
    return json.loads(said.getvalue())


def row_of_one(program: str, device: str) -> str:
    """A row of the first table: one device, 64 clips an update."""
    told = plan(PROGRAMS[program], device)
    rate = f"{told['clips_per_second']:,.0f}"
    cells = [
        device,
        program,
        _memory(told),
        f"{told['largest_batch']:,}" if told["largest_batch"] else "none",
        f"**{rate}**, measured" if told["measured"] else f"{rate}, estimated",
    ]
    return f"| {' | '.join(cells)} |"


def row_of_recipe(student: str, device: str, count: int, mesh: str) -> str:
    """A row of the second table: the published recipe in as few parts of a batch as fit."""
    words = f"{PRETRAIN.format(f':{student}')}{mesh} {CLIPS}"
    parts, told = 1, plan(words, device, count)
    while not told["fits"] and parts < 2048 // count:
        parts *= 2
        told = plan(f"{words} --config.budget.accumulate={parts}", device, count)
    hours = f"{told['hours']:,.0f}", f"{told['device_hours']:,.0f}"
    axes = " x ".join(f"{axis} {size}" for axis, size in told["mesh"].items() if size > 1)
    rate = f"{told['clips_per_second']:,.0f}"
    cells = [f"ViT-{student}", f"{count} {device}", axes, str(parts), _memory(told), rate, *hours]
    return f"| {' | '.join(cells)} |"


def collectives_of(count: int) -> list[Collective]:
    """What so many devices exchange in a step of ViT-H; it is compiled in a process of its own."""
    words = [*SHARED.split(), "--device=h100", f"--devices={count}", "--collectives", "--json"]
    command = [sys.executable, "-m", "surgvista_jax", "bench", "plan", *words]
    told = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    named = [{key: row[key] for key in Collective._fields} for row in told["collectives"]]
    return [Collective(**{**row, "axes": tuple(row["axes"])}) for row in named]


def row_of_exchange(one: Collective) -> str:
    """A row of the table of exchanges."""
    size, sent = (f"{value / 1e6:,.1f} MB" for value in (one.bytes, one.sent))
    axes = " x ".join(one.axes)
    return f"| {one.kind} | {axes} | {one.group} | {one.dtype} | {one.times} | {size} | {sent} |"


def row_of_step(device: str, count: int, found: list[Collective]) -> str | None:
    """A row of the table of steps; None where the batch does not fit in one part."""
    told = plan(SHARED, device, count)
    if not told["fits"]:
        return None
    talk = seconds_of_all(found, told["mesh"], device)
    work = told["batch_size"] / told["clips_per_second"]
    hidden, shown = (told["batch_size"] / step for step in (max(work, talk), work + talk))
    cells = [f"{count} {device}", _memory(told), f"{1e3 * work:.1f}", f"{1e3 * talk:.1f}"]
    cells += [f"{hidden:,.0f}", f"{shown:,.0f}", f"{work / (work + talk):.0%}"]
    return f"| {' | '.join(cells)} |"


def exchanges() -> list[str]:
    """What devices say to one another in a step, and what that costs at most and at least."""
    found = {count: collectives_of(count) for count in {count for count, _ in STEPS}}
    rows = [row_of_step(device, count, found[count]) for count, device in STEPS]
    sources = [f"- {name}: {INTERCONNECTS[name].source}" for name in ("h100", "v5p", "v5e")]
    return [
        "\n## What devices say to one another\n",
        "A step of ViT-H, 2,048 clips, compiled from shapes for 256 simulated devices (data 32 x"
        " fsdp 8), and read off the program that XLA divides up, before any machine's own"
        " passes:\n",
        f"```sh\nsurgvista bench plan {SHARED} \\",
        "    --device=h100 --devices=256 --collectives\n```\n",
        "| exchange | over | devices | type | times a step | arrays | each sends |",
        "|---|---|---|---|---|---|---|",
        *map(row_of_exchange, found[256]),
        EXPLAINED,
        "| devices | memory of one | computing, ms | exchange, ms | clips/s, hidden |"
        " clips/s, not hidden | efficiency, not hidden |",
        "|---|---|---|---|---|---|---|",
        *filter(None, rows),
        ASSUMED,
        *sources,
    ]


def _memory(told: dict[str, Any]) -> str:
    total, usable = (told["memory_bytes"][key] / _GIB for key in ("total", "usable"))
    return f"{total:.1f} of {usable:.1f} GiB" + ("" if told["fits"] else ", does not fit")


def page() -> str:
    """The whole page."""
    versions = f"surgvista_jax {__version__} and jax {jax.__version__}"
    commands = "\n".join(
        f"surgvista bench plan {words} --device=h100" for words in PROGRAMS.values()
    )
    return "\n".join(
        [
            HEAD.format(versions=versions),
            "\n## One device, 64 clips an update\n",
            "ViT-B, ViT-L teacher, clips of 16x224x224, bfloat16:\n",
            f"```sh\n{commands}\n```\n",
            "| device | program | memory | largest batch | clips/s |",
            "|---|---|---|---|---|",
            *(row_of_one(program, device) for program in PROGRAMS for device in sorted(DEVICES)),
            "\n## The published recipe\n",
            "201 epochs of 3.55 million clips, 2,048 an update, in as few parts as fit"
            " (`budget.accumulate`):\n",
            f"```sh\nsurgvista bench plan {PRETRAIN.format(':huge')} \\\n"
            f"    --config.mesh.fsdp=8 {CLIPS} --device=h100 --devices=64\n```\n",
            "| student | devices | mesh | parts | memory of one | clips/s | hours | device-hours |",
            "|---|---|---|---|---|---|---|---|",
            *(row_of_recipe(*run) for run in RUNS),
            *exchanges(),
        ]
    )


if __name__ == "__main__":
    print(page())
