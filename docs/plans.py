"""What does `surgvista bench plan` say of the usual programs on each device? Tables in Markdown.

python docs/plans.py > docs/plans.md
"""

import contextlib
import io
import json
from typing import Any

import jax

from surgvista_jax import __version__
from surgvista_jax.__main__ import main
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
_GIB = 2**30
HEAD = """\
# Tables of plans

What `surgvista bench plan` says, without any of these devices. Memory of GPUs is the share that JAX
takes, 0.75 of it (`XLA_PYTHON_CLIENT_MEM_FRACTION`). Where no measurement is on record, clips/s are
an estimate: those of one H100 (jax 0.11.2), scaled by operations and peaks; what several devices
lose by talking to one another is not in it. `python docs/plans.py` made the page, with
{versions}."""


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
        ]
    )


if __name__ == "__main__":
    print(page())
