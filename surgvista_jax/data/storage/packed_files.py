"""Which files of a folder of records did packing write, and may replace or remove?"""

import functools
import json
import re
from pathlib import Path

from surgvista_jax.data.storage.records import INDEX, RECORDS, checksum, read_index
from surgvista_jax.ownership import Ownership
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
    return Ownership(records / STATE / "written.jsonl", records, overwrite, earlier)


def remove_others(owned: Ownership, kept: set[Path]) -> None:
    """Removes the shards of an earlier plan, and what is said of them; others' files stay."""
    for path in owned.folder.glob("frames-*.array_record"):
        if path not in kept and not path.is_symlink() and owned.wrote(path):
            path.unlink()
            state_path(owned.folder.parent, path.name).unlink(missing_ok=True)


def clear_partial(records: Path) -> None:
    """Removes what killed packings left half written."""
    clear_asides(records)
    for left in records.glob(".frames-*.partial"):  # of an earlier version
        if _PARTIAL.fullmatch(left.name) and left.is_file() and not left.is_symlink():
            left.unlink()


def _packed_before(folder: Path, path: Path) -> bool:
    """Whether a version without a record wrote a file: a shard as its state or the index says."""
    shards = read_index(folder)  # refuses an index of another form
    if path.name == INDEX:
        return True
    known = {(shard.num_bytes, shard.sha256) for shard in shards if shard.name == path.name}
    try:
        state = json.loads(state_path(folder, path.name).read_text(encoding="utf-8"))
        known.add((state["num_bytes"], state["sha256"]))
    except (OSError, ValueError, LookupError, TypeError):
        pass  # it was not finished
    sizes = {num_bytes for num_bytes, _ in known}
    size = path.stat().st_size
    return size in sizes and (size, checksum(path)) in known
