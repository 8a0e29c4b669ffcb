"""What a run left behind: its parameters, their model, its configuration."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import orbax.checkpoint as ocp

from surgvista_jax.config import build
from surgvista_jax.errors import UserError
from surgvista_jax.json_object import read_object
from surgvista_jax.models.backbones import BackboneConfig
from surgvista_jax.models.masked_autoencoder import MaskedAutoencoderConfig
from surgvista_jax.training.checkpoint_files import (
    FOLDER,
    check_noted,
    none_found,
    restore_params,
    saved_steps,
)
from surgvista_jax.training.quiet_orbax import silence
from surgvista_jax.training.rundir import CONFIG, DESCRIBED, described_digest, read_config
from surgvista_jax.weights.folder import DESCRIPTION, Content
from surgvista_jax.weights.kinds import CONFIGS, ClassifierConfig, StudentConfig

BEST = "best"
TITLES = {
    "pretrained": "a pretraining run",
    "finetuned": "a finetuning run",
    "temporal": "a temporal run",
    "imported": "an imported folder",
}

_KINDS = {"pretraining": "pretrained", "finetuning": "finetuned", "temporal": "temporal"}


@dataclasses.dataclass(frozen=True)
class Run:
    """A folder with parameters.

    Attributes:
        kind: "pretrained", "finetuned", "temporal" or "imported".
        folder: the one that holds `params`.
        step: of the checkpoint; None for an imported folder.
        config: the run's configuration; {} for an imported folder.
        about: what the checkpoint's meta, or `weights.json`, says.
        config_digest: sha256 of the configuration.
    """

    kind: str
    folder: Path
    step: int | None
    config: dict
    about: dict
    config_digest: str = ""

    @property
    def title(self) -> str:
        return TITLES[self.kind]

    @property
    def clip(self) -> dict | None:
        """num_frames, stride and size of what the model was trained to see, where it is known."""
        return self.about.get("clip") or self.config.get("clip")


def find_run(path: Path, *, temporal: bool = False) -> Run:
    """The run, or the imported folder, that a path means.

    Args:
        path: a run's folder (of a pretraining run its newest checkpoint is meant, of a finetuning
            run its best), its `checkpoints` folder, one checkpoint, or an imported folder.
        temporal: whether a temporal run, of an MS-TCN over features, is wanted too.

    Raises:
        UserError: there are no parameters, or nothing says which model they belong to.
    """
    if not path.is_dir():
        raise UserError(f"{path}: there is no such folder")
    absolute = path.absolute()
    for above in (absolute, *list(absolute.parents)[:3]):
        if (above / DESCRIPTION).is_file():
            about = read_object(above / DESCRIPTION)
            return Run("imported", absolute, None, {}, about)
        if (above / CONFIG).is_file():
            return _of_run(absolute, above, temporal)
    if seeds := sorted(path.glob(f"seed*/{CONFIG}")):
        raise UserError(
            f"{path}: holds a run for each of several seeds; say one: {seeds[0].parent}"
        )
    raise UserError(f"{path}: neither {DESCRIPTION} nor {CONFIG} says which model this is")


def _of_run(path: Path, root: Path, temporal: bool) -> Run:
    begun = read_config(root)
    config, best = begun.values, root / BEST
    kind = _KINDS.get(begun.kind, "")
    if kind == "temporal" and not temporal:
        raise UserError(
            f"{root}: holds a temporal model, an MS-TCN over features, for which no other program"
            " has names; what is read here is a pretraining run or a finetuned backbone"
            " (`surgvista predict` takes temporal models)"
        )
    if not kind or (kind == "finetuned" and "head" not in config):
        raise UserError(f"{root}: holds neither a pretraining run nor a finetuned backbone")
    if kind != "pretrained":
        if path == root:
            path = best
        elif best not in (path, *path.parents):
            raise UserError(f"{path}: the parameters that a finetuning run chose lie in {best}")
    checkpoint = _checkpoint(path)
    about = _meta(checkpoint)
    if about.get(DESCRIBED, noted := described_digest(config)) != noted:
        raise UserError(
            f"{root / CONFIG}: damaged or changed: its model and clip are not those that"
            f" {checkpoint} was saved with; take another copy of the file"
        )
    values = json.dumps(config, sort_keys=True).encode()
    return Run(
        kind,
        checkpoint,
        int(checkpoint.name),
        config,
        about,
        hashlib.sha256(values).hexdigest(),
    )


def read_run(path: Path) -> tuple[Content, Run]:
    """The parameters of a run or of an imported folder, with all that is known of them.

    A finetuned ViT is a "classifier" {backbone, norm, head, …}; of a finetuned CNN, for which no
    other program has names, the backbone alone is read.

    Raises:
        UserError: as `find_run`; the parameters cannot be read.
    """
    run = find_run(path)
    reads = {"imported": _imported, "pretrained": _student, "finetuned": _classifier}
    return reads[run.kind](run, restore_params(run.folder)), run


def _imported(run: Run, tree: dict) -> Content:
    check_noted(run.folder, DESCRIPTION, run.about)
    text = dict(run.about)
    kind = text.pop("kind", None)
    where = f"{run.folder}: {DESCRIPTION}"
    if kind not in CONFIGS or "config" not in text:
        raise UserError(f"{where}: kind should be one of {', '.join(CONFIGS)}, and have a config")
    config: Any = build(CONFIGS[kind], text.pop("config"), f"{where}: config")
    if kind == "cnn":
        return Content(kind, config, tree["params"], tree.get("batch_stats"), text)
    return Content(kind, config, tree, origin=text)


def _student(run: Run, tree: dict) -> Content:
    where = f"{run.folder}: {CONFIG}"
    if "model" not in run.config or "encoder" not in tree:
        raise UserError(f"{where}: is not the configuration of these parameters")
    model = build(MaskedAutoencoderConfig, run.config["model"], f"{where}: model")
    width = 0
    if "feature_decoder" in tree:
        width = tree["feature_decoder"]["head"]["bias"].shape[0]
    return Content("student", StudentConfig(model, width), tree)


def _classifier(run: Run, tree: dict) -> Content:
    if not {"model", "classes"} <= run.about.keys():
        raise UserError(f"{run.folder}: damaged, its meta does not say which model it is")
    model = build(BackboneConfig, run.about["model"], f"{run.folder}/meta: model")
    if model.encoder is None:
        left_out = {"left_out": sorted(tree.keys() - {"backbone", "batch_stats"})}
        return Content("cnn", model, tree["backbone"], tree["batch_stats"], left_out)
    config = ClassifierConfig(model.encoder, len(run.about["classes"]))
    return Content("classifier", config, tree)


def _checkpoint(path: Path) -> Path:
    """The newest checkpoint of a folder, or the folder if it is one."""
    if (path / "params").is_dir():
        return path
    for candidate in (path / FOLDER, path):
        if steps := saved_steps(candidate):
            return candidate / str(steps[-1])
    raise none_found(path, None, [])


def _meta(checkpoint: Path) -> dict:
    silence()
    try:
        with ocp.Checkpointer(ocp.JsonCheckpointHandler()) as reader:
            meta = reader.restore(checkpoint / "meta")
    except Exception:  # the readers raise no common type; what it says is worth less than the rest
        meta = {}
    check_noted(checkpoint, "meta", meta)
    return meta
