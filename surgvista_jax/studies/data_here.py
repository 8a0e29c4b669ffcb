"""A study's datasets, as far as their folders are here."""

from surgvista_jax.data.dataset import Dataset
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
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
