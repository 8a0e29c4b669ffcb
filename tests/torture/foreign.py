"""Is what a user has where a command writes left as it is?"""

import os
from pathlib import Path

from tests.torture.process import Broken
from tests.torture.promises import Try, check_told, promise

# Places of what a command keeps while it runs, and a name that a writer's folder might have.
_PASSING = (Path(".surgvista.lock"), Path(".partial-download", "mine.bin"))
_WAYS = (
    *("at its place", "beside it", "behind a link", "in its folder's place"),
    *("a link at its place", "a folder at its place"),
)


def left_alone(job: str, t: Try) -> None:
    """{} neither removes nor changes a file that it did not write, at, beside or behind the place
    of one that it writes."""
    out = t.material.begin(job, t.folder / t.material.output(job).name)
    expected = t.material.output(job)
    written = sorted(
        path.relative_to(expected)
        for path in expected.rglob("*")
        if path.is_file() and not (out / path.relative_to(expected)).exists()
    )
    elsewhere = t.folder / "elsewhere"
    elsewhere.mkdir()
    for number in range(int(t.rng.integers(1, 4))):
        place = out / t.one_of(_PASSING if t.rng.random() < 0.1 else written)
        how = t.one_of(_WAYS)
        t.kind = t.kind or f"{place.suffix or place.name[:12]} {how}"
        mine = t.one_of([f"mine, {how}\n", "mine", '{"a": 1}\n'])
        _put(place, how, elsewhere / str(number), mine.encode())
    before = _user_files(out, t.material.folder / (t.material.jobs[job].begins_as or "none"))
    before |= _user_files(elsewhere, None)
    ended = t.run(*t.material.jobs[job].words(out))
    told = check_told(ended)
    for path, data in before.items():
        if not os.path.lexists(path):
            raise Broken(f"{job} ({told}) has removed {path}")
        if _content(path) != data:
            raise Broken(f"{job} ({told}) has changed {path}")


def _put(place: Path, how: str, elsewhere: Path, mine: bytes) -> None:
    """Makes a file of the user's own at or near a place; what does not fit there is left out."""
    try:
        if how == "behind a link" and not os.path.lexists(place.parent):
            elsewhere.mkdir()
            (elsewhere / place.name).write_bytes(mine)
            place.parent.parent.mkdir(parents=True, exist_ok=True)
            place.parent.symlink_to(elsewhere)
        elif how == "in its folder's place" and not os.path.lexists(place.parent):
            place.parent.parent.mkdir(parents=True, exist_ok=True)
            place.parent.write_bytes(mine)
        elif how == "a link at its place":
            elsewhere.write_bytes(mine)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(elsewhere)
        elif how == "a folder at its place":
            place.mkdir(parents=True)
            (place / "mine").write_bytes(mine)
        else:
            place.parent.mkdir(parents=True, exist_ok=True)
            named = f"mine{place.suffix}" if how == "beside it" else place.name
            (place.parent / named).write_bytes(mine)
    except OSError:  # an earlier one is in the way
        pass


def _user_files(folder: Path, ours: Path | None) -> dict[Path, bytes]:
    """Every file below a folder but what a job begins with, and what it holds."""
    return {
        path: _content(path)
        for path in folder.rglob("*")
        if path.is_file() and not (ours and (ours / path.relative_to(folder)).exists())
    }


def _content(path: Path) -> bytes:
    """What a file holds, and where it leads to if it is a link."""
    return path.read_bytes() + (os.readlink(path).encode() if path.is_symlink() else b"")


for _job in (
    "pretrain", "finetune", "convert", "pack", "features", "predict",
    "export", "import", "evaluate", "check", "figure", "synthetic",
):  # fmt: skip
    promise(0.7, _job)(left_alone)
