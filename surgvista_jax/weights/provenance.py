"""Where do parameters come from: which data and which other files, under which licences?"""

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from surgvista_jax.data.manifest import Dataset, fingerprint, read_dataset
from surgvista_jax.errors import UserError
from surgvista_jax.weights.choosing import GivenHeads, choose, split_spec
from surgvista_jax.weights.files import SourceFile, open_file
from surgvista_jax.weights.runs import Run, find_run
from surgvista_jax.weights.tables import KINDS, Table

UNKNOWN = "not recorded"
# Keys under which files, folders and checkpoints hold their sources and what else is known of them.
SOURCES = "sources"
ABOUT = "about"
FACTS = ("clip", "classes", "task", "label_kind")


@dataclasses.dataclass(frozen=True)
class Source:
    """Something that a model was made from.

    Attributes:
        what: its part and its name, such as "init: MVD's student (mvd), mvd.pth".
        licence: its terms in words.
        digest: sha256 of a file, or what else tells that it is the same.
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
        if isinstance(entry, dict) and "what" in entry and entry.keys() <= fields
    )


def of_dataset(dataset: Dataset) -> Source:
    """A dataset that was trained on."""
    frames = sum(video.num_frames for video in dataset.videos)
    what = f"data: {dataset.name} ({len(dataset.videos)} videos, {frames} frames"
    return Source(
        f"{what} at {dataset.fps:g} a second)",
        dataset.licence or "none stated",
        fingerprint(dataset),
    )


def of_spec(
    role: str,
    spec: str,
    kinds: Sequence[str] = KINDS,
    heads: GivenHeads = None,
    digest: str = "",
) -> tuple[Source, ...]:
    """A file or folder of weights, and what it was made from itself.

    Args:
        role: what it was used for, such as "init".
        spec: `[NAME:]PATH`.
        kinds, heads: as for `loading.load`.
        digest: of a folder's parameters, where it is known.

    Raises:
        UserError: there is no such file, or it cannot be read.
    """
    name, path = split_spec(spec)
    if path.is_dir():
        run = find_run(path)
        return (
            Source(f"{role}: {run.title}, {path.name}", "that of its own sources, below", digest),
            *within(role, of_run(run)),
        )
    with open_file(path) as source:
        try:
            table = choose(source, name, kinds, heads=heads).table
        except UserError:  # whether it fits is for `load` to say
            table = None
        return of_file(role, source, table)


def of_file(role: str, source: SourceFile, table: Table | None) -> tuple[Source, ...]:
    """An open file, and what it says itself that it was made from."""
    title = f"{table.title} [{table.name}]" if table else "weights"
    what = f"{role}: {title}, {source.path.name}"
    if SOURCES not in source.metadata:
        licence = table.licence if table else UNKNOWN
        return (Source(what, licence, source.digest),)
    try:
        inner = from_json(json.loads(source.metadata[SOURCES]))
    except ValueError:
        inner = ()
    own = Source(what, "that of its own sources, below", source.digest)
    return (own, *within(role, inner))


def facts(metadata: Mapping[str, str]) -> dict:
    """What a file that we wrote says of its model besides: the clips it sees, its classes."""
    try:
        about = json.loads(metadata.get(ABOUT, "{}"))
    except ValueError:
        return {}
    return {key: about[key] for key in FACTS if key in about}


def within(role: str, sources: Iterable[Source]) -> tuple[Source, ...]:
    """The sources of something that is itself a source: "data: …" -> "init > data: …"."""
    return tuple(dataclasses.replace(source, what=f"{role} > {source.what}") for source in sources)


def of_run(run: Run) -> tuple[Source, ...]:
    """What a run or an imported folder was made from, as far as it is known."""
    if SOURCES in run.about:
        return from_json(run.about[SOURCES])
    # A run that recorded no more than names: the files may still be where they were.
    found = [_dataset_of(run)] if "dataset" in run.about else []
    init = run.about.get("init", "")
    if run.kind == "finetuned" and init not in ("", "random"):
        digest = run.about.get("init_digest", "")
        try:
            sources = of_spec("init", init, digest=digest)
        except UserError:
            sources = ()
        if not sources or (digest and sources[0].digest not in ("", digest)):
            sources = (Source(f"init: {init}", UNKNOWN, digest),)
        found += sources
    return tuple(found)


def _dataset_of(run: Run) -> Source:
    """The training videos of a finetuning run, if its dataset folder is still there."""
    data, name = run.config.get("data", {}), run.about["dataset"]
    try:
        dataset = read_dataset(data.get("folder", "")).split(data.get("train", "train"))
    except UserError:
        return Source(f"data: {name}")
    return of_dataset(dataset) if dataset.name == name else Source(f"data: {name}")
