"""Where parameters come from: which data and which other files, under which licences."""

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from surgvista_jax.counted import counted
from surgvista_jax.data.dataset import Dataset, fingerprint
from surgvista_jax.json_object import parse
from surgvista_jax.weights.files.read import TORCH
from surgvista_jax.weights.loading import Loaded
from surgvista_jax.weights.names.table import Table
from surgvista_jax.weights.place import Place, open_place
from surgvista_jax.weights.runs import Run, find_run

UNKNOWN = "not recorded"
INHERITED = "that of its own sources, below"
# Keys under which files, folders and checkpoints hold their sources and what else is known of them.
SOURCES = "sources"
ABOUT = "about"
FACTS = ("clip", "classes", "task", "label_kind", "fps")


@dataclasses.dataclass(frozen=True)
class Source:
    """Something that a model was made from.

    Attributes:
        what: its part and its name, such as "init: MVD's student (mvd), mvd.pth".
        licence: its terms in words.
        digest: sha256 of a file, or whatever else identifies it.
    """

    what: str
    licence: str = UNKNOWN
    digest: str = ""


def as_json(sources: Iterable[Source]) -> list[dict]:
    """What `from_json` reads."""
    return [dataclasses.asdict(source) for source in sources]


def from_json(values: Any) -> tuple[Source, ...]:
    """Sources as they were written; entries in another form are left out."""
    fields = {field.name for field in dataclasses.fields(Source)}
    entries = values if isinstance(values, list) else []
    return tuple(
        Source(**entry)
        for entry in entries
        if isinstance(entry, dict)
        and "what" in entry
        and entry.keys() <= fields
        and all(isinstance(value, str) for value in entry.values())
    )


def of_dataset(dataset: Dataset) -> Source:
    """A dataset that was trained on."""
    frames = sum(video.num_frames for video in dataset.videos)
    what = (
        f"data: {dataset.name} ({counted(len(dataset.videos), 'video')}, {counted(frames, 'frame')}"
    )
    return Source(
        f"{what} at {dataset.fps:g} a second)",
        dataset.licence or "none stated",
        fingerprint(dataset),
    )


def of_loaded(role: str, loaded: Loaded) -> tuple[Source, ...]:
    """A file or folder of weights that has been read, and what it was made from itself.

    Args:
        role: what it was used for, such as "init".
        loaded: what was read.
    """
    if loaded.match is None:
        return _of_folder(role, loaded.place.path, loaded.digest)
    return _of_file(role, loaded.place, loaded.digest, loaded.match.table, loaded.metadata)


def _of_folder(role: str, path: Path, digest: str) -> tuple[Source, ...]:
    run = find_run(path)
    own = Source(f"{role}: {run.title}, {path.name}", INHERITED, digest)
    return (own, *within(role, of_run(run)))


def _of_file(
    role: str, place: Place, digest: str, table: Table, metadata: Mapping[str, str]
) -> tuple[Source, ...]:
    what = f"{role}: {table.title} [{table.name}], {place.title}"
    if SOURCES not in metadata:
        return (Source(what, table.licence, digest),)
    try:
        inner = from_json(parse(metadata[SOURCES]))
    except ValueError:
        inner = ()
    return (Source(what, INHERITED, digest), *within(role, inner))


def facts(metadata: Mapping[str, str]) -> dict:
    """What a file that we wrote says of its model besides: the clips it sees, its classes."""
    try:
        about = parse(metadata.get(ABOUT, "{}"))
    except ValueError:
        return {}
    return {key: about[key] for key in FACTS if key in about} if isinstance(about, dict) else {}


def facts_at(place: Place) -> dict:
    """The same of a file or a folder, whatever wrote it; {} where it says nothing."""
    path = place.path
    if path.is_dir():
        run = find_run(path)
        told = {"clip": run.clip, **run.about}
        return {key: told[key] for key in FACTS if told.get(key)}
    if path.suffix in TORCH:  # holds tensors alone
        return {}
    with open_place(place) as source:
        return facts(source.metadata)


def within(role: str, sources: Iterable[Source]) -> tuple[Source, ...]:
    """The sources of something that is itself a source: "data: …" -> "init > data: …"."""
    return tuple(dataclasses.replace(source, what=f"{role} > {source.what}") for source in sources)


def of_run(run: Run) -> tuple[Source, ...]:
    """What a run or an imported folder was made from, as far as it recorded it."""
    return from_json(run.about.get(SOURCES))
