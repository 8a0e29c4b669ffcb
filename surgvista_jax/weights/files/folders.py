"""Folders of weights as other programs write them: which file of theirs holds the model."""

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from surgvista_jax.errors import UserError
from surgvista_jax.json_object import read_object
from surgvista_jax.weights.files.read import SUFFIXES
from surgvista_jax.weights.files.shards import INDEX

# What transformers, timm and open_clip write, in the order in which they look for it themselves.
USUAL = (
    *("model.safetensors", f"model.safetensors{INDEX}"),
    *("pytorch_model.bin", f"pytorch_model.bin{INDEX}"),
    *("open_clip_model.safetensors", "open_clip_pytorch_model.bin"),
)
# transformers' `config.json` -> part of our models.
_HEADS = {
    "num_attention_heads": "encoder",
    "decoder_num_attention_heads": "pixel_decoder",
}


class Inside(NamedTuple):
    """The file of a folder that holds the model, and others that hold it too and are not taken."""

    file: str
    passed: tuple[str, ...] = ()


def usual_file(names: Collection[str]) -> Inside | None:
    """Of a folder's names, the file that transformers would take; None where there is none."""
    found = [name for name in USUAL if name in names]
    return Inside(found[0], tuple(found[1:])) if found else None


def file_within(folder: Path) -> Inside | None:
    """The file, from the folder, that holds the model; None where no known program wrote it.

    Raises:
        UserError: the weights are divided over several files, or several steps are there.
    """
    names = {entry.name for entry in folder.iterdir() if entry.is_file()}
    if found := usual_file(names):
        return found
    if any(name.endswith(".distcp") for name in names):
        raise UserError(
            f"{folder}: a distributed checkpoint of PyTorch; make one file of it: python -m"
            f" torch.distributed.checkpoint.format_utils dcp_to_torch {folder} FILE.pth"
        )
    return _of_deepspeed(folder)


def weight_files(folder: Path) -> list[str]:
    """Names of the files in a folder that may be weights, to be named in messages."""
    found = {entry.name for entry in folder.iterdir() if entry.suffix in SUFFIXES}
    return sorted(found - {"predictions.npz"})  # a run's, of which nothing else is left


def models_below(folder: Path) -> list[str]:
    """Names of the folders in a folder that hold a model, as transformers' trainer leaves them."""
    inside = sorted(entry for entry in folder.iterdir() if entry.is_dir())
    return [entry.name for entry in inside if any((entry / name).is_file() for name in USUAL)]


def heads_beside(path: Path) -> dict[str, str]:
    """As metadata, the attention heads that transformers' `config.json` says beside a file."""
    config = path.with_name("config.json")
    if path.name not in USUAL or not config.is_file():
        return {}
    try:
        told: dict[str, Any] = read_object(config)
    except UserError:
        return {}
    heads = {part: told[key] for key, part in _HEADS.items() if type(told.get(key)) is int}
    return {"heads": json.dumps(heads)} if heads and "model_type" in told else {}


def _of_deepspeed(folder: Path) -> Inside | None:
    step = folder
    latest = folder / "latest"
    if latest.is_file() and latest.stat().st_size < 256:
        tag = latest.read_text(encoding="utf-8", errors="replace").strip()
        step = folder / tag
        if not tag or Path(tag).name != tag or not step.is_dir():
            raise UserError(f"{latest}: names {tag!r}, and there is no such folder beside it")
    elif not _states(folder):
        steps = [entry for entry in sorted(folder.iterdir()) if entry.is_dir() and _states(entry)]
        if len(steps) > 1:
            raise UserError(
                f"{folder}: holds several steps; name one: {', '.join(map(str, steps[:8]))}"
            )
        step = steps[0] if steps else folder
    states = _states(step)
    if any(name.startswith("zero_pp_rank") for name in states):
        raise UserError(
            f"{step}: its weights are divided over DeepSpeed's processes (ZeRO-3); run"
            " zero_to_fp32.py, which DeepSpeed puts beside them, and take the file that it writes"
        )
    if len(states) > 1:
        raise UserError(
            f"{step}: its weights are divided over {len(states)} files ({states[0]} …), which are"
            " not put together here"
        )
    return Inside((step / states[0]).relative_to(folder).as_posix()) if states else None


def _states(folder: Path) -> list[str]:
    """DeepSpeed's files of a model in a folder."""
    return sorted(entry.name for entry in folder.glob("*mp_rank_*_model_states.pt"))
