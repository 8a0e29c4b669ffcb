"""Which files of a folder of records did packing write, and may replace or remove?"""

import functools
import re
from pathlib import Path

from surgvista_jax.data.storage.records import INDEX, RECORDS, read_index
from surgvista_jax.json_object import parse
from surgvista_jax.ownership import Ownership, sha256_of
from surgvista_jax.record import Record
from surgvista_jax.writing import clear_asides

STATE = ".pack"
_PARTIAL = re.compile(r"\.frames-\d{5}-of-\d{5}\.array_record\.\d+\.partial")


def state_path(folder: Path, shard: str) -> Path:
    """Where a dataset folder says what a finished shard was made of."""
    return folder / RECORDS / STATE / f"{shard.partition('.')[0]}.json"


def ownership(folder: Path, overwrite: bool) -> Ownership:
    """What packing may replace in the records of a dataset folder."""
    records = folder / RECORDS
    earlier = functools.partial(_packed_before, folder)
    return Ownership(Record(records / STATE / "written.jsonl"), records, overwrite, earlier)


def remove_others(owned: Ownership, kept: set[Path]) -> None:
    """Removes the shards of an earlier plan, and what is said of them; others' files stay."""
    for path in owned.folder.glob("frames-*.array_record"):
        if path not in kept and not path.is_symlink() and owned.wrote(path):
            path.unlink()
            state = state_path(owned.folder.parent, path.name)
            if state.is_file() and owned.wrote(state):
                state.unlink()


def clear_partial(records: Path) -> None:
    """Removes what killed packings left half written."""
    clear_asides(records)
    for left in records.glob(".frames-*.partial"):  # of an earlier version
        if _PARTIAL.fullmatch(left.name) and left.is_file() and not left.is_symlink():
            left.unlink()


def _packed_before(folder: Path, path: Path) -> bool:
    """Whether an earlier version wrote a file that the record does not name.

    A shard as its state or the index says, the index, or the state of a shard.
    """
    if path.parent.name == STATE:
        return _state(path) is not None
    shards = read_index(folder)  # refuses an index of another form
    if path.name == INDEX:
        return True
    known = {(shard.num_bytes, shard.sha256) for shard in shards if shard.name == path.name}
    if (state := _state(state_path(folder, path.name))) is not None:  # it was finished
        known.add(state)
    sizes = {num_bytes for num_bytes, _ in known}
    size = path.stat().st_size
    return size in sizes and (size, sha256_of(path)) in known


def _state(path: Path) -> tuple[int, str] | None:
    """Size and SHA-256 of a shard, as its state says; None where that is no state."""
    try:
        state = parse(path.read_text(encoding="utf-8"))
        return state["num_bytes"], state["sha256"]
    except (OSError, ValueError, LookupError, TypeError):
        return None
