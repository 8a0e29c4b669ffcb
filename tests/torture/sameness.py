"""Do two folders hold the same output, bit for bit?"""

import hashlib
import json
import re
from pathlib import Path

import numpy as np

from surgvista_jax.training.goodput import is_time
from tests.torture.process import Broken, in_child

# What a line of metrics says of the machine, not of the training.
_OF_THE_MACHINE = {"clips_per_second", "data_wait_share", "unreadable_frames"}


def check_same(found: Path, expected: Path) -> None:
    """Raises `Broken` unless a job's output is that of the uninterrupted one."""
    ours, theirs = contents(found), contents(expected)
    for what, names in (("lacks", theirs.keys() - ours), ("has besides", ours.keys() - theirs)):
        if names:
            raise Broken(f"{what} {', '.join(sorted(names)[:5])}")
    differing = [name for name in sorted(ours) if ours[name] != theirs[name]]
    if differing:
        raise Broken(f"differs from the uninterrupted one: {', '.join(differing[:5])}")
    check_metrics(found, expected)


def check_metrics(found: Path, expected: Path) -> None:
    """Raises `Broken` where a run's numbers have a gap, a double, or other values."""
    for name in ("metrics.jsonl", "evaluations.jsonl"):
        if (expected / name).exists():
            ours, theirs = _rows(found / name), _rows(expected / name)
            steps = [[row["step"] for row in rows] for rows in (ours, theirs)]
            if steps[0] != steps[1]:
                raise Broken(f"{name} has the steps {steps[0]}, not {steps[1]}")
            for row, wanted in zip(ours, theirs, strict=True):
                keys = [key for key in wanted if row.get(key) != wanted[key]]
                if keys:
                    raise Broken(f"{name}, step {row['step']}: other {', '.join(keys)}")


def contents(out: Path) -> dict[str, str]:
    """Name -> a digest of what each file says; of a run's checkpoints, their arrays.

    Names that begin with a dot are a command's own books and are left out, as are event files,
    whose names and lines tell the time.
    """
    said = {}
    for path in sorted(out.rglob("*")):
        name = path.relative_to(out).as_posix()
        parts = name.split("/")
        if path.is_dir() or any(part.startswith((".", "events.")) for part in parts):
            continue
        if "checkpoints" in parts or parts[-1] in ("metrics.jsonl", "evaluations.jsonl"):
            continue
        if "params" in parts:  # of an imported folder
            continue
        said[name] = hashlib.sha256(_what_it_says(path, out)).hexdigest()
    for place in sorted({path.parent for path in out.rglob("checkpoints")}):
        name = place.relative_to(out).as_posix()
        said[f"{name}: parameters"] = in_child(arrays_digest, place)
    if (out / "params").is_dir():
        said["params"] = in_child(arrays_digest, out)
    return said


def arrays_digest(checkpoint: Path, step: int | None = None) -> str:
    """A digest of all parameters of a checkpoint."""
    import jax

    from surgvista_jax.training.checkpoint_files import restore_params

    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(restore_params(checkpoint, step)):
        array = np.asarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)}{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _what_it_says(path: Path, out: Path) -> bytes:
    """A file's bytes, without the name of its folder and what a writer may order as it likes."""
    data = path.read_bytes()
    if path.suffix == ".safetensors":  # its metadata are in any order
        end = 8 + int.from_bytes(data[:8], "little")
        return json.dumps(json.loads(data[8:end]), sort_keys=True).encode() + data[end:]
    if path.name == "config.json":  # how batches are read, and where each start was to stop
        kept = {**json.loads(data), "loader": None, "loop": None}
        return json.dumps(kept, sort_keys=True).encode()
    if path.name.endswith(".safetensors.md"):
        data = re.sub(rb"sha256 `\w+`", b"", data)  # of the file, the order included
    for name in (str(out), str(out).replace("_", r"\_")):  # the second in Markdown
        data = data.replace(name.encode(), b"OUT")
    return data


def _rows(path: Path) -> list[dict]:
    if not path.exists():
        raise Broken(f"lacks {path.name}")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [
        {k: v for k, v in row.items() if k not in _OF_THE_MACHINE and not is_time(k)}
        for row in rows
    ]
