"""What the pretrainings of a study saw: datasets, their procedures, and how many frames."""

from dataclasses import dataclass
from pathlib import Path

from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.json_object import read_object

_CONFIG, _SEEN = "config.json", "data_seen.json"


@dataclass(frozen=True)
class Part:
    """One dataset of a pretraining.

    Attributes:
        procedure: as `dataset.json` says it; "" where it cannot be read.
        frames: of its videos that are pretrained on; None where that is not known.
    """

    name: str
    procedure: str
    frames: int | None


def parts_of(run: Path) -> list[Part]:
    """The datasets of a pretraining run's folder; [] where nothing says them.

    Frames are those that the run counted itself, else those of the dataset's folder.
    """
    try:
        data = read_object(run / _CONFIG)["data"]
        folders = [Path(data.get("root") or "", name.strip()) for name in data["folder"].split(",")]
        split = data.get("split")
    except (UserError, KeyError, AttributeError, TypeError):
        return []
    counted = counted_clips(run)
    parts = []
    for folder in folders:
        procedure, frames = "", None
        try:
            dataset = read_dataset(folder)
            procedure = dataset.procedure
            seen = dataset if split is None else dataset.part(split)
            frames = sum(video.num_frames for video in seen.videos)
        except UserError:
            pass  # it is on another machine, or gone
        parts.append(Part(folder.name, procedure, counted.get(folder.name, frames)))
    return parts


def total_frames(parts: list[Part]) -> int | None:
    """Of all datasets together; None where one is not known."""
    known = [part.frames for part in parts if part.frames is not None]
    return sum(known) if parts and len(known) == len(parts) else None


def counted_clips(run: Path) -> dict[str, int]:
    """Dataset -> its clips, each of which ends at a frame, as a run wrote them when it ended."""
    try:
        entries = read_object(run / _SEEN)["datasets"]
        return {str(entry["name"]): int(entry["clips"]) for entry in entries}
    except (UserError, KeyError, TypeError, ValueError):
        return {}
