"""A study's datasets, as far as their folders are here."""

from collections.abc import Sequence
from pathlib import Path

from surgvista_jax.data.dataset import Dataset
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.studies.cells import Cell, Pretraining
from surgvista_jax.studies.collect import Study


def dataset_of(study: Study, name: str) -> Dataset | None:
    """One of them, whose folder is given from the study's on or from here; None where it is gone
    or cannot be read."""
    folder = next((str(entry["folder"]) for entry in study.datasets if entry["name"] == name), "")
    for place in (study.folder / folder, folder) if folder else ():
        try:
            return read_dataset(place)
        except UserError:
            continue
    return None


def data_not_here(cells: Sequence[Cell]) -> list[str]:
    """The folders that datasets of cells, or of students that they start from, lack."""
    starts = (cell.backbone.start for cell in cells)
    seen = [data for start in starts if isinstance(start, Pretraining) for data in start.data]
    folders = dict.fromkeys(data.folder for data in (*seen, *(cell.data for cell in cells)))
    return [folder for folder in folders if folder and not Path(folder).exists()]
