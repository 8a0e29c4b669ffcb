"""Where predictions lie, and the frames that they are of: a file, a run, what `predict` wrote."""

from collections.abc import Sequence
from pathlib import Path

from surgvista_jax.errors import UserError
from surgvista_jax.json_object import read_object

PREDICTIONS = "predictions.npz"
_RUN = "config.json"
_FRAMES, _DATASET = "frames", "dataset.json"


def with_runs_opened(paths: Sequence[str]) -> list[str]:
    """The paths, a run's folder of several seeds as the folders of its seeds.

    Raises:
        UserError: some of the seeds have not come to their end.
    """
    opened = []
    for path in paths:
        seeds = sorted(Path(path).glob(f"seed*/{_RUN}"))
        if not seeds or (Path(path) / PREDICTIONS).is_file():
            opened.append(path)
            continue
        # Of a run that was stopped, some seeds are not a result.
        opened += [str(seed.parent) for seed in seeds]
    return opened


def file_in(path: str) -> Path:
    """The file of predictions in a run's folder or in what `predict` wrote; else the path itself.

    Raises:
        UserError: there is nothing at the path, or a run that has no predictions yet.
    """
    place = Path(path)
    if not place.exists():
        raise UserError(f"{path}: no such file or folder")
    if (place / PREDICTIONS).is_file():
        return place / PREDICTIONS
    if (place / _RUN).is_file():
        raise UserError(
            f"{path}: the run in this folder has no {PREDICTIONS}: it comes at its end, of its test"
            " videos; start it again to go on, or give what `surgvista predict` wrote"
        )
    return place


def frames_of(paths: Sequence[str]) -> list[Path]:
    """Where the frames lie that predictions are of, as far as what lies beside them says it.

    `predict --keep-frames` keeps frames beside its predictions; a run's configuration names its
    dataset folders.
    """
    folders: dict[Path, None] = {}
    for path in with_runs_opened(paths):
        folder = Path(path) if Path(path).is_dir() else Path(path).parent
        if (folder / _FRAMES / _DATASET).is_file():
            folders[folder / _FRAMES] = None
        elif (folder / _RUN).is_file():
            data = read_object(folder / _RUN).get("data")
            named = data.get("folder") if isinstance(data, dict) else None
            for name in named.split(",") if isinstance(named, str) else ():
                if Path(name).is_dir():
                    folders[Path(name)] = None
    return list(folders)
