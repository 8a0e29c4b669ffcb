"""The clips of a finetuning run: as the user says, else as its starting weights saw them."""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import ml_collections

from surgvista_jax.addresses import in_bucket
from surgvista_jax.data.batches.clips import ClipConfig
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.inference.seen import Seen, seen_by
from surgvista_jax.inference.starting_point import RANDOM
from surgvista_jax.tasks.beginning import say
from surgvista_jax.training.rundir import begun_config

# What the recipe says of clips for want of anything better. Another value in a file is meant.
_USUAL = {"clip": ClipConfig(), "image_clip": ClipConfig(num_frames=8, stride=8)}


def with_seen_clips(
    config: ml_collections.ConfigDict, told: Collection[str] = (), workdir: Path | None = None
) -> ml_collections.ConfigDict:
    """The configuration with the clips that `config.init` was trained on, which is said in a line.

    A value stays that the command line says, or that the file says other than the recipe does. A
    run that goes on keeps the clips that it began with.

    Args:
        config: of a finetuning run.
        told: keys that the command line says, such as "clip.size".
        workdir: its folder, or the one of several seeds.
    """
    begun = None if workdir is None else _begun(workdir)
    if begun is not None and begun.get("init") == config.init:
        return _with_begun_clips(config, told, begun)
    seen = None if config.init in ("", RANDOM) else seen_by_init(config.init)
    if seen is None:
        return config
    stride = seen.clip.stride
    folder = config.data.folder
    if folder and (in_bucket(folder) or Path(folder).is_dir()):
        stride = seen.stride_at(read_dataset(folder).fps)
    resolved = config.copy_and_resolve_references()
    taken, kept = [], []
    with resolved.unlocked():
        for group in _USUAL:
            clip = resolved[group]
            if clip is None:
                continue
            for key, value in _values(seen, stride, clip.sampling).items():
                if clip[key] == value:
                    continue
                if _is_meant(config, told, group, key):
                    kept.append(f"{group}.{key}={clip[key]}")
                else:
                    clip[key] = value
                    taken.append(f"{group}.{key}={value}")
    if taken or kept:
        parts = [f"taken: {', '.join(taken)}" if taken else "", f"as you say: {', '.join(kept)}"]
        said = "; ".join(filter(None, parts if kept else parts[:1]))
        say(f"init: {config.init} was trained on {seen}; {said}")
    return resolved


def _is_meant(
    config: ml_collections.ConfigDict, told: Collection[str], group: str, key: str
) -> bool:
    """Whether the command line says a value, or the file says another one than the recipe."""
    return f"{group}.{key}" in told or config[group][key] != getattr(_USUAL[group], key)


def _begun(workdir: Path) -> dict[str, Any] | None:
    folders = [workdir, *sorted(workdir.glob("seed*"))]
    return next(filter(None, map(begun_config, folders)), None)


def _with_begun_clips(
    config: ml_collections.ConfigDict, told: Collection[str], begun: Mapping[str, Any]
) -> ml_collections.ConfigDict:
    resolved = config.copy_and_resolve_references()
    with resolved.unlocked():
        for group in _USUAL:
            clip, known = resolved[group], begun.get(group)
            if clip is None or not isinstance(known, Mapping):
                continue
            for key in ("num_frames", "stride", "size"):
                if key in known and not _is_meant(config, told, group, key):
                    clip[key] = known[key]
    return resolved


def seen_by_init(init: str) -> Seen | None:
    """What weights were trained on; None where they do not tell it, or cannot be read."""
    try:
        return seen_by(init)
    except UserError:  # whoever reads the parameters says it, and better
        return None


def _values(seen: Seen, stride: int, sampling: str) -> dict[str, int]:
    values = {"num_frames": seen.clip.num_frames, "stride": stride, "size": seen.clip.size}
    if sampling == "uniform" or seen.clip.sampling == "uniform" or seen.clip.num_frames == 1:
        del values["stride"]  # not used, here or there
    return values
