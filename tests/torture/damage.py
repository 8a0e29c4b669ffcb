"""Is a flipped bit named, or without effect, in whatever we wrote and read again?"""

import json
import shutil
from pathlib import Path

import numpy as np

from tests.torture.process import Broken, Ended, in_child
from tests.torture.promises import Try, check_told, promise
from tests.torture.sameness import check_same

_GO_ON_FROM = 12  # the newest step of a run whose checkpoint is damaged; it goes on to 16


def flip(t: Try, folder: Path, pattern: str = "**/*") -> None:
    """Flips a bit of one of the files that match, in proportion to nothing but their number."""
    files = sorted(p for p in folder.glob(pattern) if p.is_file() and p.stat().st_size)
    path = t.one_of(files)
    data = bytearray(path.read_bytes())
    at, bit = int(t.rng.integers(len(data))), int(t.rng.integers(8))
    data[at] ^= 1 << bit
    path.write_bytes(data)
    t.kind = _kind_of(path)
    (t.folder / "flipped").write_text(f"{path}, byte {at}, bit {bit}\n")


def _kind_of(path: Path) -> str:
    """What sort of file it is: its suffix or name, digests and numbers left out."""
    return path.suffix or (path.parent.name if len(path.name) > 24 else path.name)


@promise(4)
def checkpoint(t: Try) -> None:
    """A flipped bit in a checkpoint, from which a run goes on, is named or without effect."""
    out = t.folder / "out"
    shutil.copytree(t.material.output("pretrain"), out)
    for step in (out / "checkpoints").iterdir():
        if step.name.isdecimal() and int(step.name) > _GO_ON_FROM:
            shutil.rmtree(step)
    flip(t, out / "checkpoints" / str(_GO_ON_FROM))
    ended = t.run(*t.material.jobs["pretrain"].words(out))
    if check_told(ended) == "success":
        for aside in out.glob("checkpoints/*.damaged*"):
            shutil.rmtree(aside)
        _same_or_told(out, t.material.output("pretrain"), ended)


@promise(3)
def weights(t: Try) -> None:
    """A flipped bit in a checkpoint's weights, an export or an imported folder is named or without
    effect."""
    source = t.one_of(["pretrain", "import", "export"])
    copy = t.folder / "source"
    shutil.copytree(t.material.output(source), copy)
    if source == "pretrain":
        newest = max(int(p.name) for p in (copy / "checkpoints").iterdir() if p.name.isdecimal())
        flip(t, copy / "checkpoints" / str(newest) / "params")
    else:
        flip(t, copy, "*.safetensors" if source == "export" else "**/*")
    t.kind = f"{source}: {t.kind}"
    out = t.folder / "out"
    if source == "export":
        words = ["weights", "import", copy / "student.safetensors", f"--out={out}"]
        expected = t.material.output("import")
    else:
        words = ["weights", "export", copy, "--as=surgvista"]
        words.append(f"--out={out / 'student.safetensors'}")
        expected = t.material.output("export")
    ended = t.run(*words)
    if check_told(ended) == "success":
        found, wanted = (in_child(_numbers, folder) for folder in (out, expected))
        if found != wanted and not _warned(ended):
            raise Broken("other numbers are read, and nothing is said")


@promise(1)
def records(t: Try) -> None:
    """A flipped bit in packed records is named or without effect."""
    out = t.folder / "out"
    shutil.copytree(t.material.output("pack"), out)
    flip(t, out / "records")
    if check_told(t.run("data", "pack", "--verify", out)) == "success":
        before = t.material.output("pack") / "records"
        index = next(before.glob("*.json"))
        if json.loads(index.read_text()) != json.loads((out / "records" / index.name).read_text()):
            raise Broken(f"the damage of {t.kind} goes unseen by --verify")


@promise(1)
def features(t: Try) -> None:
    """A flipped bit in a features folder is named or without effect."""
    out = t.folder / "out"
    shutil.copytree(t.material.output("features"), out)
    flip(t, out)
    expected = in_child(_read_features, t.material.output("features"), t.material.folder)
    found = in_child(_read_features, out, t.material.folder)
    if found != expected and not isinstance(found, str):
        raise Broken(f"other features are read from {t.kind}, and nothing is said")


@promise(1)
def predictions(t: Try) -> None:
    """A flipped bit in predictions is named or without effect."""
    source = t.folder / "predictions.npz"
    shutil.copy(t.material.output("finetune") / "predictions.npz", source)
    flip(t, t.folder, "*.npz")
    words = t.material.jobs["evaluate"].words(t.folder / "out")
    words[words.index(t.material.output("finetune") / "predictions.npz")] = source
    if check_told(t.run(*words)) == "success":
        found, wanted = (
            json.loads((folder / "report.json").read_text())["scores"]
            for folder in (t.folder / "out", t.material.output("evaluate"))
        )
        if found != wanted:
            raise Broken("other scores, and nothing is said")


def _same_or_told(out: Path, expected: Path, ended: Ended) -> None:
    try:
        check_same(out, expected)
    except Broken as broken:
        raise Broken(f"{broken}; said: {ended.err.strip()[-200:]!r}") from None


def _warned(ended: Ended) -> bool:
    return "WARNING" in ended.err or "damaged" in ended.err


def _numbers(folder: Path) -> dict[str, bytes]:
    """All arrays of an export or of an imported folder."""
    from surgvista_jax.weights.loading import load

    spec = folder if (folder / "params").is_dir() else folder / "student.safetensors"
    import jax

    leaves = jax.tree_util.tree_leaves_with_path(load(str(spec)).params)
    return {jax.tree_util.keystr(path): np.asarray(leaf).tobytes() for path, leaf in leaves}


def _read_features(folder: Path, material: Path) -> list[bytes] | str:
    """The features of all videos; or the line with which they are refused."""
    from surgvista_jax.data.storage.feature_folder import open_features
    from surgvista_jax.data.storage.manifest import read_dataset
    from surgvista_jax.errors import UserError

    try:
        opened = open_features(folder)
        videos = read_dataset(material / "colours").videos
        return [np.asarray(opened.read(video)).tobytes() for video in videos]
    except UserError as error:
        return str(error)
