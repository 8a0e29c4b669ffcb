"""A packed dataset folder in a bucket: fetched once to this machine, where it is read.

Every shard is needed in the first steps of a run, as clips are drawn from all of them; and
array_record reads files of the machine alone. So all are fetched before a run begins.
"""

import hashlib
import shutil
import sys
from pathlib import Path, PurePosixPath

from surgvista_jax.buckets import Bucket, at_once
from surgvista_jax.caches import user_cache
from surgvista_jax.data.storage.records import INDEX, RECORDS, Shard, read_index
from surgvista_jax.errors import UserError
from surgvista_jax.locking import alone_in
from surgvista_jax.ownership import sha256_of
from surgvista_jax.writing import clear_asides, replacing, write_bytes

_INDEX = f"{RECORDS}/{INDEX}"


def fetched(address: str, heads: tuple[str, ...]) -> Path:
    """The folder of this machine that holds a dataset of a bucket, whole.

    Of processes that ask for one dataset, the first fetches it, and the others wait for that. What
    was fetched before is not fetched again. Another version of the dataset, by its heads, has a
    folder of its own.

    Args:
        address: of the dataset folder.
        heads: names of the small files that say what is in it.

    Raises:
        UserError: it cannot be reached, is not packed, is too large for the disk, or a shard is
            not what the index says.
    """
    bucket = Bucket(address)
    files = {name: _head(bucket, name) for name in (*heads, _INDEX)}
    digest = hashlib.sha256(bucket.address.encode())
    for name, data in files.items():
        digest.update(f"\0{name}\0{len(data)}\0".encode() + data)
    # Datasets that are mixed are told apart by the names of their folders.
    name = PurePosixPath(bucket.address).name
    try:
        folder = user_cache() / "datasets" / digest.hexdigest()[:16] / name
    except RuntimeError as error:
        raise UserError(f"{bucket.address}: {error}; set XDG_CACHE_HOME to a folder") from None
    if not all((folder / name).is_file() for name in files) or _missing(folder):
        with alone_in(folder, patience=float("inf")):
            for place in (folder, folder / RECORDS):
                clear_asides(place)
            for name, data in files.items():
                write_bytes(folder / name, data)
            _fetch(bucket, folder, _missing(folder))
    return folder


def _head(bucket: Bucket, name: str) -> bytes:
    data = bucket.read(name)
    if data is not None:
        return data
    if name == _INDEX:
        raise UserError(
            f"{bucket.address}: is not packed (there is no {name}); run `surgvista data pack` on"
            " the folder, and copy it again"
        )
    raise UserError(f"{bucket.address}: no dataset folder (there is no {name})")


def _missing(folder: Path) -> list[Shard]:
    """Shards that are not there; what is there is whole, as it was checked and then renamed."""
    shards = read_index(folder)
    for shard in shards:
        if PurePosixPath(shard.name).name != shard.name:
            raise UserError(f"{folder / _INDEX}: {shard.name!r} is no name of a shard")
    return [
        shard
        for shard in shards
        if not (path := folder / RECORDS / shard.name).is_file()
        or path.stat().st_size != shard.num_bytes
    ]


def _fetch(bucket: Bucket, folder: Path, shards: list[Shard]) -> None:
    needed = sum(shard.num_bytes for shard in shards)
    free = shutil.disk_usage(folder).free
    size = f"{needed / 2**30:.1f} GiB" if needed >= 2**29 else f"{needed / 2**20:.1f} MiB"
    if needed > free:
        raise UserError(
            f"{bucket.address}: {size} do not fit into {folder} ({free / 2**30:.1f} GiB free); set"
            " XDG_CACHE_HOME to a folder of a larger disk"
        )
    if shards:
        print(f"{bucket.address}: fetching {size} to {folder}", file=sys.stderr)

    def fetch(shard: Shard) -> None:
        with replacing(folder / RECORDS / shard.name) as aside:
            bucket.fetch(f"{RECORDS}/{shard.name}", aside)
            if aside.stat().st_size != shard.num_bytes or sha256_of(aside) != shard.sha256:
                raise UserError(
                    f"{bucket.address}/{RECORDS}/{shard.name}: is not what {INDEX} says; copy the"
                    " packed folder again"
                )

    at_once(fetch, shards)
