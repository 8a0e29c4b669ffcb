"""What the figure of rings takes from dataset folders and studies."""

from collections.abc import Sequence
from pathlib import Path

from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.facts.procedures import OTHER, SAME, UNKNOWN, common, operated
from surgvista_jax.figures.rings import Ring, Rings
from surgvista_jax.studies.collect import Study
from surgvista_jax.studies.data_here import dataset_of
from surgvista_jax.studies.pretraining_data import Part, parts_of

_KINDS = (SAME, OTHER, UNKNOWN)


def rings(title: str, seen: Sequence[Part], downstream: Sequence[tuple[str, str]]) -> Rings:
    """A ring for each downstream dataset, by shares of the frames that were pretrained on.

    Args:
        seen: datasets of the pretraining.
        downstream: (name, procedure) of each.

    Raises:
        UserError: it is not known how many frames a dataset has, or there are none.
    """
    for part in seen:
        if part.frames is None:
            raise UserError(f"{title}: nothing says how many frames of {part.name} were seen")
    total = sum(part.frames or 0 for part in seen)
    if not total:
        raise UserError(f"{title}: no frames were pretrained on")
    drawn = []
    for name, procedure in downstream:
        shares = {"operation": dict.fromkeys(_KINDS, 0), "anatomy": dict.fromkeys(_KINDS, 0)}
        for part in seen:
            if (part.name, part.procedure) == (name, procedure):
                operation = anatomy = SAME  # as it has all in common with itself, known or not
            else:
                operation, anatomy = common(operated(part.procedure), operated(procedure))
            shares["operation"][operation] += part.frames or 0
            shares["anatomy"][anatomy] += part.frames or 0
        anatomy_shares, operation_shares = (
            tuple(shares[key][kind] / total for kind in _KINDS) for key in ("anatomy", "operation")
        )
        drawn.append(Ring(name, _three(anatomy_shares), _three(operation_shares)))
    return Rings(title, tuple(drawn))


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    same, other, unknown = values
    return same, other, unknown


def of_folders(pretraining: Sequence[Path], downstream: Sequence[Path]) -> list[Rings]:
    """Rings of dataset folders; all training videos of the first are pretrained on.

    Raises:
        UserError: one is no dataset.
    """
    seen = []
    for folder in pretraining:
        dataset = read_dataset(folder)
        frames = sum(video.num_frames for video in dataset.part("train").videos)
        seen.append(Part(folder.resolve().name, dataset.procedure, frames))
    known = [(folder.resolve().name, read_dataset(folder).procedure) for folder in downstream]
    return [rings(" + ".join(part.name for part in seen), seen, known)]


def of_study(study: Study) -> list[Rings]:
    """Rings of each amount of data that a study pretrains on, against all its datasets.

    Raises:
        UserError: it pretrains on nothing that is known.
    """
    known = []
    used = {cell.dataset for cell in study.cells}
    for name in (str(entry["name"]) for entry in study.datasets if entry["name"] in used):
        dataset = dataset_of(study, name)
        known.append((name, dataset.procedure if dataset else ""))
    found: dict[tuple[Part, ...], str] = {}
    for made in study.pretrainings:
        parts = tuple(parts_of(study.folder / made["folder"]))
        if parts:  # with and without a teacher are of the same data
            names = " + ".join(part.name for part in parts)
            found.setdefault(parts, f"{made['setting']}: {names}")
    if not found:
        raise UserError(f"{study.folder}: no pretraining has begun, so that no data are known")
    return [rings(title, parts, known) for parts, title in found.items()]
