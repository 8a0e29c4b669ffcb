"""Is whatever a command is given used, or refused in one line?  No traceback, no hang, no flood.

For each format that is read: a good file, how it is spoilt, and the commands that read it.
"""

import argparse
import importlib
import json
import pkgutil
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.support.places import ROOT
from tests.torture import spoiling
from tests.torture.process import Broken
from tests.torture.promises import Try, check_told, promise
from tests.torture.spoilt_data import (
    Words,
    labels,
    manifest,
    official,
    pictures,
    spoil,
    spoil_json,
    spoil_text,
    tfds,
    videos,
)  # fmt: skip

_SCORED = ["--protocol=phase-strict", "--samples=20"]


def answered(prepare: Callable[[Try], Words], t: Try) -> None:
    """{}, malformed: used, or refused in one line, in the time and memory that commands have."""
    check_told(t.run(*prepare(t)))
    report = t.folder / "report" / "report.json"
    if report.exists():
        json.loads(report.read_text(), parse_constant=_no_number)


def _no_number(name: str) -> None:
    raise Broken(f"a report with the number {name}")


def predictions(t: Try) -> Words:
    """Predictions as .npz, CSV and text, with ground truth and the beginnings of videos."""
    form = t.kind = t.one_of(["npz", "npz", "csv", "text", "truth", "boundaries"])
    words: Words = ["evaluate", *_SCORED, f"--out={t.folder / 'report'}"]
    npz = Path(shutil.copy(t.material.output("finetune") / "predictions.npz", t.folder))
    if form == "npz":
        spoil(t, npz, spoiling.npz)
        return [*words, npz]
    with np.load(npz) as file:
        rows = list(zip(file["video"], file["frame"], file["label"], file["score"], strict=True))
    if form in ("csv", "truth"):
        path = t.folder / f"{form}.csv"
        header = (
            "video,frame,label,score_0,score_1,score_2" if form == "csv" else "video,second,label"
        )
        lines = [f"{v},{f},{k},{','.join(map(str, p))}\n" for v, f, k, p in rows]
        if form == "truth":
            lines = [f"{v},{f},{('red', 'green', 'blue')[k]}\n" for v, f, k, _ in rows]
        path.write_text(f"{header}\n{''.join(lines)}")
        spoil_text(t, path)
        return [*words, path, "--fps=1"] if form == "csv" else [*words, npz, f"--truth={path}"]
    for folder in ("predicted", "true"):
        path = t.folder / folder / "video1.txt"
        path.parent.mkdir()
        lines = [f"{f}\t{k}\n" for f, (_, _, k, _) in enumerate(rows)]
        path.write_text(f"Frame\tPhase\n{''.join(lines)}")
    words += [t.folder / "predicted", f"--truth={t.folder / 'true'}", "--fps=1"]
    if form == "boundaries":
        path = t.folder / "boundaries.csv"
        path.write_text(f"video,frames\nvideo1,4\nvideo2,{len(rows) - 4}\n")
        words[-3:-2] = [t.folder / "predicted" / "video1.txt", f"--boundaries={path}"]
    else:
        path = t.folder / t.one_of(["predicted", "true"]) / "video1.txt"
    spoil_text(t, path)
    return words


def weights(t: Try) -> Words:
    """Files and folders of weights."""
    form = t.one_of(["safetensors", "safetensors", "npz", "folder", "index"])
    good = t.material.output("export") / "student.safetensors"
    if form == "folder":
        place = t.folder / "imported"
        shutil.copytree(t.material.output("import"), place)
        spoil_json(t, place / "weights.json")
        return ["weights", "export", place, "--as=surgvista", f"--out={t.folder / 'x.npz'}"]
    if form == "index":
        place = t.folder / "sharded"
        place.mkdir()
        shutil.copy(good, place / "model-00001-of-00001.safetensors")
        index = {"metadata": {}, "weight_map": {"x": "model-00001-of-00001.safetensors"}}
        path = place / "model.safetensors.index.json"
        path.write_text(json.dumps(index))
        spoil_json(t, path)
        return ["weights", "inspect", place]
    path = t.folder / f"weights.{form}"
    if form == "npz":
        np.savez(path, **{f"blocks.{k}.norm1.weight": np.ones(32, np.float32) for k in range(4)})
        spoil(t, path, spoiling.npz)
    else:
        shutil.copy(good, path)
        spoil(t, path, spoiling.safetensors)
    imported = ["weights", "import", f"surgvista:{path}", f"--out={t.folder / 'out'}"]
    return t.one_of([["weights", "inspect", path], imported])


def run_folder(t: Try) -> Words:
    """What a run keeps about itself."""
    job = t.one_of(["pretrain", "finetune"])
    out = t.folder / "run"
    shutil.copytree(t.material.output(job), out)
    for name, row in (("unreadable", {"frame": "video1, frame 3"}), ("skipped", {"clips": ["x"]})):
        path = (
            out / {"unreadable": "unreadable_frames.jsonl", "skipped": "skipped_steps.jsonl"}[name]
        )
        path.write_text(json.dumps({"step": 2, **row}) + "\n")
    files = sorted([*out.glob("*.json*"), *out.glob("predictions.npz")])
    path = t.one_of(files)
    if path.suffix == ".npz":
        spoil(t, path, spoiling.npz)
    else:
        spoil_json(t, path)
    t.kind = f"{path.name}: {t.kind}"
    choices = [t.material.jobs[job].words(out)] * 3
    if job == "pretrain":
        choices.append(["weights", "export", out, "--as=surgvista", f"--out={t.folder / 'x.npz'}"])
        choices.append(
            ["figure", "reconstruction", f"--checkpoint={out}"] + [f"--out={t.folder / 'f.png'}"]
        )
    else:
        choices.append(["evaluate", out, *_SCORED])
    return t.one_of(choices)


def features(t: Try) -> Words:
    """A features folder, from which a temporal head is trained."""
    folder = t.folder / "features"
    shutil.copytree(t.material.folder / "phase_features", folder)
    path = t.one_of([folder / "features.json", t.one_of(sorted(folder.glob("*.npy")))])
    if path.suffix == ".json":
        spoil_json(t, path)
    else:
        spoil(t, path, spoiling.npy)
    return ["finetune", f"--config={ROOT / 'configs' / 'finetune' / 'mstcn.py'}"] + [
        f"--workdir={t.folder / 'run'}",
        f"--config.data.folder={t.material.folder / 'phases'}",
        f"--config.data.features={folder}",
        "--config.loop.stop_after=1",
    ]


def configuration(t: Try) -> Words:
    """A configuration as JSON and as TOML, and single values of one."""
    job = t.one_of(["pretrain", "finetune"])
    good = json.loads((t.material.output(job) / "config.json").read_text())
    words: Words = [job, f"--workdir={t.folder / 'run'}"]
    stop = "--config.loop.stop_after=1"
    form = t.one_of(["json", "toml", "value", "value"])
    if form != "value":
        path = t.folder / f"config.{form}"
        path.write_text(json.dumps(good) if form == "json" else "\n".join(_toml(good)) + "\n")
        spoil_json(t, path) if form == "json" else spoil_text(t, path)
        return [*words, f"--config={path}", stop]
    key = t.one_of(sorted(_keys(good)))
    value = t.one_of(spoiling.WILD).replace("\0", "NUL")  # which no command line can hold
    t.kind = key
    return [*words, f"--config={t.material.folder / job}.py", stop, f"--config.{key}={value}"]


def _toml(tree: dict, group: str = "") -> list[str]:
    """A configuration as lines of TOML, which has no null: keys without a value are left out."""
    plain = {key: value for key, value in tree.items() if not isinstance(value, dict | None)}
    lines = [f"[{group}]"] if group else []
    lines += [f"{key} = {json.dumps(value)}" for key, value in plain.items()]
    for key, value in tree.items():
        if isinstance(value, dict):
            lines += _toml(value, f"{group}.{key}".lstrip("."))
    return lines


def _keys(tree: dict, before: str = "") -> list[str]:
    found = []
    for key, value in tree.items():
        found += _keys(value, f"{before}{key}.") if isinstance(value, dict) else [before + key]
    return found


def option(t: Try) -> Words:
    """An option of a command, with a value that nobody meant."""
    job = t.one_of(sorted(t.material.jobs))
    words = list(
        map(
            str,
            t.material.jobs[job].words(
                t.material.begin(job, t.folder / t.material.output(job).name)
            ),
        )
    )
    name, parser = _parser(words)
    named = [a for a in parser._actions if a.option_strings and a.nargs is None and a.dest != "out"]
    chosen = t.one_of(named).option_strings[-1]
    value = t.one_of(spoiling.WILD).replace("\0", "NUL")
    t.kind = f"{name} {chosen}"
    kept = [word for word in words if not word.startswith(f"{chosen}=")]
    if job in ("pretrain", "finetune"):
        kept.append("--config.loop.stop_after=1")
    return [*kept, f"{chosen}={value}"]


def _parser(words: list[str]) -> tuple[str, argparse.ArgumentParser]:
    """The options of the command that a command line names."""
    import surgvista_jax.commands as commands

    known = [module.name for module in pkgutil.iter_modules(commands.__path__)]
    name = next(n for n in ("_".join(words[:2]), words[0]) if n in known)
    parser = argparse.ArgumentParser()
    importlib.import_module(f"{commands.__name__}.{name}").add_arguments(parser)
    return name, parser


for _prepare, _share in {
    labels: 2, official: 4, tfds: 1, manifest: 2, pictures: 1, videos: 1, predictions: 2,
    weights: 2, run_folder: 2, features: 1, configuration: 2, option: 2,
}.items():  # fmt: skip
    _what = str(_prepare.__doc__).rstrip(".")
    promise(_share, _prepare.__name__, _what, _prepare)(answered)
