"""The command `surgvista data pack`: the frames of a dataset folder in record shards."""

import argparse
import dataclasses
import json
import sys
from pathlib import Path

from tqdm import tqdm

from surgvista_jax.counted import counted
from surgvista_jax.data.storage.manifest import FILES, read_dataset
from surgvista_jax.data.storage.packing import FRAMES_PER_SHARD, KEPT, PACK, pack
from surgvista_jax.data.storage.records import INDEX, RECORDS, read_index
from surgvista_jax.errors import UserError
from surgvista_jax.ownership import add_overwrite, sha256_of
from surgvista_jax.parts.option import add_part
from surgvista_jax.parts.start import parts_of


def verify(folder: Path) -> list[str]:
    """Reads every shard; returns a line for each that is not what was packed.

    Raises:
        UserError: there are no records.
    """
    shards = read_index(folder)
    if not shards:
        raise UserError(f"{folder / RECORDS / INDEX}: missing; `surgvista data pack` writes it")
    faults = []
    for shard in tqdm(shards, unit="shard", disable=not sys.stderr.isatty()):
        path = folder / RECORDS / shard.name
        if not path.is_file():
            faults.append(f"{path}: missing; pack again")
        elif path.stat().st_size != shard.num_bytes or sha256_of(path) != shard.sha256:
            faults.append(f"{path}: not the bytes that were packed; delete it and pack again")
    return faults


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `surgvista data pack`."""
    parser.add_argument("folder", type=Path, help="dataset folder; it gets a folder `records`")
    parser.add_argument(
        "--frames-per-shard",
        type=int,
        default=FRAMES_PER_SHARD,
        help="about so many; a video is never divided (%(default)d)",
    )
    parser.add_argument("--workers", type=int, help="shards written at a time (one a core)")
    parser.add_argument(
        "--verify", action="store_true", help="pack nothing; compare shards with their checksums"
    )
    add_part(parser)
    add_overwrite(parser)
    parser.add_argument("--json", action="store_true", help="print the report as JSON")


def main(arguments: argparse.Namespace) -> int:
    """Packs or verifies, reports, and returns 0 if every frame and shard was whole, else 1."""
    for option, value in (
        ("--frames-per-shard", arguments.frames_per_shard),
        ("--workers", arguments.workers),
    ):
        if value is not None and value < 1:
            raise UserError(f"{option} {value}: must be 1 or more")
    folder = arguments.folder
    if arguments.verify:
        if arguments.part is not None:
            raise UserError("--part: is for packing; --verify looks at all shards")
        faults = verify(folder)
        if arguments.json:
            print(json.dumps({"dataset": str(folder), "faults": faults}, indent=2))
        else:
            print("\n".join([*faults, f"{folder}: {counted(len(faults), 'fault')} in its records"]))
        return 1 if faults else 0
    parts = parts_of(arguments, folder, PACK, FILES)
    packing = pack(
        read_dataset(folder),
        arguments.frames_per_shard,
        arguments.workers,
        arguments.overwrite,
        parts,
    )
    if parts is not None:
        if parts.part.is_merge:
            parts.merged(KEPT)
        else:
            folder = parts.folder
    for entry in packing.unreadable:
        print(entry, file=sys.stderr)
    frames = sum(shard.num_frames for shard in packing.shards)
    num_bytes = sum(shard.num_bytes for shard in packing.shards)
    report = {
        "dataset": str(folder),
        "shards": len(packing.shards),
        "packed": packing.num_packed,
        "frames": frames,
        "bytes": num_bytes,
        "unreadable": [dataclasses.asdict(entry) for entry in packing.unreadable],
    }
    if arguments.json:
        print(json.dumps(report, indent=2))
    else:
        print(
            f"{folder / RECORDS}: {counted(frames, 'frame')} in"
            f" {counted(len(packing.shards), 'shard')}, "
            f"{num_bytes / 2**20:.1f} MiB; {counted(packing.num_packed, 'shard')} written now; "
            f"{counted(len(packing.unreadable), 'unreadable frame')}"
        )
    return 1 if packing.unreadable else 0
