"""The lines of a card that load its file, here and in PyTorch."""

import json
from pathlib import Path
from typing import Any

from surgvista_jax.errors import UserError
from surgvista_jax.weights.choosing import heads_rule, known_heads
from surgvista_jax.weights.files.read import TORCH
from surgvista_jax.weights.kinds import StudentConfig, stacks_of
from surgvista_jax.weights.names.table import Table


def how_to_load(name: str, table: Table, kind: str, config: Any) -> str:
    """Commands and code for a reader to paste, in Markdown.

    Args:
        name: of the file.
        table: whose names are in it.
        kind, config: what it holds.
    """
    spec = f"{table.name}:{name}"
    if isinstance(config, StudentConfig):
        said = f"surgvista pretrain --config=CONFIG --workdir=RUN --config.init={spec}"
        also = f"surgvista finetune --config=CONFIG --workdir=RUN --config.init={spec}"
    elif kind == "teacher":
        said = f"surgvista pretrain --config=CONFIG --workdir=RUN --config.teacher.weights={spec}"
        also = f"surgvista weights inspect {spec}"
    else:
        said = f"surgvista finetune --config=CONFIG --workdir=RUN --config.init={spec}"
        also = f"surgvista weights inspect {spec}"
    heads = _unusual_heads(config)
    argument = f", heads={json.dumps(heads)}" if heads else ""
    ours = (
        "from surgvista_jax.weights.loading import load\n\n"
        f'params = load("{spec}"{argument}).params'
    )
    told = ""
    if heads := known_heads(config):
        each = ", ".join(f"{part} {n}" for part, n in heads.items() if _holds(config, part))
        told = f"\n\nAttention heads, which arrays do not show: {each}."
    return (
        f"Here:\n\n```sh\n{said}\n{also}\n```\n\n```python\n{ours}\n```\n\n"
        f"In PyTorch:\n\n```python\n{_read(name)}\n{_into_model(table, config)}\n```{told}"
    )


def _read(name: str) -> str:
    """The lines that make a state dict of the file."""
    if Path(name).suffix in TORCH:
        return f'import torch\n\nstate = torch.load("{name}", weights_only=True)'
    if name.endswith(".safetensors"):
        return f'from safetensors.torch import load_file\n\nstate = load_file("{name}")'
    return (
        f'import numpy as np\nimport torch\n\nwith np.load("{name}") as file:\n'
        '    names = [name for name in file if not name.startswith("__")]\n'
        "    state = {name: torch.from_numpy(file[name]) for name in names}"
    )


def _into_model(table: Table, config: Any) -> str:
    """The lines that fill a model of PyTorch's, which may have parts that the file has not."""
    model = f"  # the model of {table.source}"
    may_lack = [pattern for pattern, _ in table.left_out] + [table.fixed] * bool(table.fixed)
    if table.optional and isinstance(config, StudentConfig) and not config.feature_width:
        may_lack.append(table.optional)
    if not may_lack:
        return f"model.load_state_dict(state){model}"
    return (
        f"found = model.load_state_dict(state, strict=False){model}\n"
        "assert not found.unexpected_keys, found.unexpected_keys\n\n"
        "import re  # what may be missing: such a model computes it, or trains it anew\n\n"
        f'absent = r"{"|".join(may_lack)}"\n'
        "assert all(re.fullmatch(absent, key) for key in found.missing_keys), found.missing_keys"
    )


def _holds(config: Any, part: str) -> bool:
    return part != "feature_decoder" or config.feature_width > 0


def _unusual_heads(config: Any) -> dict[str, int]:
    """The heads that must be given because width and depth do not determine them."""
    rule, unusual = heads_rule(), {}
    for part, stack in stacks_of(config).items():
        try:
            usual = rule(stack.width, stack.depth, part)
        except UserError:
            usual = 0
        if usual != stack.heads and _holds(config, part):
            unusual[part] = stack.heads
    return unusual
