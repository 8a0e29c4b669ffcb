"""How do parameters of ours lie in a folder?  As an import writes them, or as a run leaves them."""

import dataclasses
import json
import os
import shutil
from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp

from surgvista_jax.config import build
from surgvista_jax.errors import UserError
from surgvista_jax.models.masked_autoencoder import MaskedAutoencoderConfig
from surgvista_jax.training.checkpoint_files import restore_params
from surgvista_jax.weights.kinds import CONFIGS, StudentConfig

DESCRIPTION = "weights.json"
_RUN = "config.json"


@dataclasses.dataclass(frozen=True)
class Content:
    """What a folder holds.

    Attributes:
        kind, config: as in `loading.Loaded`.
        params, batch_stats: nested dicts of NumPy arrays.
        origin: what `weights.json` says besides, such as the digest of an imported file.
    """

    kind: str
    config: Any
    params: dict
    batch_stats: dict | None = None
    origin: dict = dataclasses.field(default_factory=dict)


def describe(folder: Path, kind: str, config: Any, origin: dict | None = None) -> None:
    """Writes `weights.json`, by which a folder of checkpoints says what model they are of.

    Raises:
        UserError: the folder cannot be written.
    """
    text = {"kind": kind, "config": dataclasses.asdict(config), **(origin or {})}
    path = folder / DESCRIPTION
    partial = path.with_suffix(".partial")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(text, indent=1) + "\n", encoding="utf-8")
        os.replace(partial, path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror})") from error


def write(folder: Path, content: Content) -> None:
    """Writes `weights.json` and the arrays (`params/`, Orbax); all of it or nothing.

    Raises:
        UserError: there is something at that place, or it cannot be written.
    """
    if folder.exists():
        raise UserError(f"{folder}: exists already; choose another folder")
    partial = folder.with_name(f"{folder.name}.partial").absolute()
    try:
        shutil.rmtree(partial, ignore_errors=True)
        describe(partial, content.kind, content.config, content.origin)
        tree = content.params
        if content.batch_stats is not None:
            tree = {"params": content.params, "batch_stats": content.batch_stats}
        with ocp.Checkpointer(ocp.StandardCheckpointHandler()) as writer:
            writer.save(partial / "params", args=ocp.args.StandardSave(tree))
        os.replace(partial, folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def read(folder: Path) -> Content:
    """Reads an imported folder, a run's folder, its `checkpoints` folder or one checkpoint.

    Raises:
        UserError: there are no parameters, or nothing says of what model they are.
    """
    tree = restore_params(folder)
    for above in (folder, *list(folder.absolute().parents)[:2]):
        if (above / DESCRIPTION).is_file():
            return _described(above / DESCRIPTION, tree)
        if (above / _RUN).is_file():
            return _of_pretraining(above / _RUN, tree)
    raise UserError(f"{folder}: neither {DESCRIPTION} nor {_RUN} says what model this is of")


def _described(path: Path, tree: dict) -> Content:
    text = _json(path)
    kind = text.pop("kind", None)
    if kind not in CONFIGS or "config" not in text:
        raise UserError(f"{path}: kind should be one of {', '.join(CONFIGS)}, and have a config")
    config = build(CONFIGS[kind], text.pop("config"), f"{path}: config")
    if kind == "cnn":
        return Content(kind, config, tree["params"], tree.get("batch_stats"), text)
    return Content(kind, config, tree, origin=text)


def _of_pretraining(path: Path, tree: dict) -> Content:
    text = _json(path)
    if "model" not in text or "encoder" not in tree:
        raise UserError(f"{path}: is not the configuration of a pretraining run")
    model = build(MaskedAutoencoderConfig, text["model"], f"{path}: model")
    width = 0
    if "feature_decoder" in tree:
        width = tree["feature_decoder"]["head"]["bias"].shape[0]
    return Content("student", StudentConfig(model, width), tree)


def _json(path: Path) -> dict:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path}: is no JSON ({error})") from None
