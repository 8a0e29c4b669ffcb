"""Data that are spoilt in one place: labels, splits, manifests, pictures, videos, TFDS folders.

Each function makes them in a try's folder and returns the command that is to read them.
"""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from tests.support.places import GOLDEN
from tests.torture import spoiling
from tests.torture.official import FILES, make_source
from tests.torture.promises import Try

Words = list[object]
_LABELS = {  # each form of label file, for the folder of images with its six frames
    "intervals": "start,end,label\n0,2,A\n0:00:02,0:00:06,B\n",
    "seconds": "second,label\n0,A\n1,A\n2.5,B\n4,-1\n5,B\n",
    "frames": "frame,second,label\n" + "".join(f"{k},{k}.0,{'AB'[k > 2]}\n" for k in range(6)),
    "one for all": "video,start,end,label\nstills,0,3,A\nstills,3,6,B\n",
    "clips": "path,label\nstills,A\n",
    "tools": "second,tools\n0,a;b\n1,\n2,b\n3,a\n4,b\n5,a;b\n",
}


def spoil(t: Try, path: Path, *ways: Callable) -> None:
    """Spoils a file in one of several ways."""
    way = t.one_of(ways)
    kind, data = way(t.rng, path.read_bytes())
    path.write_bytes(data)
    t.kind = f"{t.kind} {path.suffix or path.name}: {kind}".strip()


def spoil_text(t: Try, path: Path) -> None:
    spoil(t, path, spoiling.table, spoiling.table, spoiling.table, spoiling.encoding)


def spoil_json(t: Try, path: Path) -> None:
    """Spoils JSON, half of the time without the checksum that would tell."""
    if path.suffix == ".json" and t.rng.integers(2):
        tree = json.loads(path.read_bytes())
        if isinstance(tree, dict) and tree.pop("crc32", None):
            path.write_text(json.dumps(tree))
    ways = (spoiling.json_text, spoiling.json_text, spoiling.json_text, spoiling.encoding)
    lines = (spoiling.json_lines, spoiling.json_lines, spoiling.json_lines, spoiling.encoding)
    spoil(t, path, *(lines if path.suffix == ".jsonl" else ways))


def labels(t: Try) -> Words:
    """CSV files of labels, and of splits and patients, of a user's own videos."""
    form = t.kind = t.one_of([*_LABELS, "splits"])
    shutil.copytree(t.material.folder / "videos" / "stills", t.folder / "videos" / "stills")
    alone = form in ("one for all", "clips", "splits")
    path = t.folder / "labels.csv" if alone else t.folder / "labels" / "stills.csv"
    path.parent.mkdir(exist_ok=True)
    path.write_text(_LABELS.get(form, "video,split,patient,centre\nstills,train,p1,c1\n"))
    spoil_text(t, path)
    words: Words = ["data", "convert", "videos", f"--source={t.folder / 'videos'}", "--workers=1"]
    words.append(f"--out={t.folder / 'out'}")
    words.append(
        f"--splits={path}" if form == "splits" else f"--labels={path if alone else path.parent}"
    )
    return [*words, "--task=tool"] if form == "tools" else words


def official(t: Try) -> Words:
    """Label files as the authors of each dataset give them out."""
    name = t.kind = t.one_of(sorted(FILES))
    source = t.folder / "source"
    path = t.one_of(make_source(name, source, t.material.folder / "videos" / "film0.mp4"))
    if path.suffix == ".json":
        spoil_json(t, path)
    elif path.suffix == ".pickle":
        spoil(t, path, spoiling.pickled)
    else:
        spoil_text(t, path)
    return ["data", "convert", name, f"--source={source}", f"--out={t.folder / 'out'}"] + [
        "--workers=1"
    ]


def tfds(t: Try) -> Words:
    """Folders of TFDS: what describes them, and their shards."""
    folder = t.folder / "tfds"
    shutil.copytree(GOLDEN / "tiny_tfds", folder)
    path = t.one_of(sorted(p for p in folder.rglob("*") if p.is_file()))
    path.chmod(0o644)
    if path.suffix == ".json":
        spoil_json(t, path)
    else:
        spoil(t, path, spoiling.binary)
    return t.one_of([
        ["data", "check", folder],
        ["data", "check", folder, "--no-frames", "--json"],
        ["data", "check", t.material.folder / "noise", f"--pretraining={folder}", "--no-frames"],
        [*t.material.jobs["pretrain"].words(t.folder / "run"), f"--config.data.folder={folder}"]
        + ["--config.loop.stop_after=1"],
    ])  # fmt: skip


def manifest(t: Try) -> Words:
    """`dataset.json`, `videos.jsonl` and the index of records."""
    source = t.one_of(["noise", "colours", "pack_out"])
    folder = t.folder / "data"
    shutil.copytree(t.material.folder / source, folder)
    spoil_json(t, t.one_of(sorted([*folder.glob("*.json*"), *folder.glob("records/*.json*")])))
    return t.one_of([
        ["data", "check", folder],
        ["data", "check", folder, "--no-frames", "--json"],
        ["data", "check", t.material.folder / "noise", f"--pretraining={folder}", "--no-frames"],
        ["data", "pack", folder, "--workers=1"],
        ["data", "pack", folder, "--verify"],
    ])  # fmt: skip


def pictures(t: Try) -> Words:
    """JPEG and PNG files, and shards that hold them."""
    source = t.one_of(["noise", "pack_out", "videos/stills"])
    folder = t.folder / "data" / "some"
    shutil.copytree(t.material.folder / source, folder)
    pattern = {"noise": "*.jpg", "pack_out": "*.array_record", "videos/stills": "*.png"}[source]
    spoil(t, t.one_of(sorted(folder.rglob(pattern))), spoiling.binary)
    if source == "videos/stills":
        return ["data", "convert", "videos", f"--source={folder.parent}", "--workers=1"] + [
            f"--out={t.folder / 'out'}"
        ]
    return t.one_of([["data", "check", folder], ["data", "pack", folder, "--workers=1"]])


def videos(t: Try) -> Words:
    """Video files."""
    folder = t.folder / "videos"
    folder.mkdir()
    path = Path(shutil.copy(t.material.folder / "videos" / "film0.mp4", folder))
    spoil(t, path, spoiling.binary)
    words: Words = ["data", "convert", "videos", f"--source={folder}", "--workers=1"]
    return [*words, f"--out={t.folder / 'out'}"]
