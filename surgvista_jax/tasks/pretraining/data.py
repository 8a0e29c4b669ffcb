"""The data that a pretraining run's configuration names, checked against its weights."""

from collections.abc import Sequence

from surgvista_jax.data.checking.once import Read, read_once
from surgvista_jax.errors import UserError
from surgvista_jax.facts.spelling import near
from surgvista_jax.tasks.pretraining.config import DataConfig


def check_folder(folder: str) -> None:
    """Refuses a configuration that names no data. Raises UserError."""
    if not folder:
        raise UserError("config.data.folder is empty: say --config.data.folder=DATASET")


def read_data(config: DataConfig) -> Read:
    """Reads the folders of a configuration.

    Raises:
        UserError: what `read_once` raises, or weights that are not of these folders.
    """
    read = read_once(config.folder, config.split, config.root, config.allow_overlap)
    _check_weights(config, [name for name, _ in read.dataset.parts()])
    return read


def _check_weights(config: DataConfig, names: Sequence[str]) -> None:
    """Refuses weights that are not one of each folder."""
    if not config.mixture:
        return
    for name in config.mixture:
        if name not in names:
            raise UserError(
                f"config.data.mixture.{name}: config.data.folder names no folder {name!r}"
                f"{near(name, names)}; it names: {', '.join(names)}"
            )
    for name in names:
        if name not in config.mixture:
            raise UserError(
                f"config.data.mixture: {name} has no weight: say one, or leave it out of"
                " config.data.folder"
            )
