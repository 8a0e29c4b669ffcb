"""Which small inputs and finished outputs do all tries start from?

Made once a run, by the very commands that are tried; a job is a command that writes, and its
uninterrupted output is what an interrupted one must come to.
"""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support import feature_run, finetune_run, tiny_run
from tests.support.footage import write_images, write_video
from tests.torture.process import Command, in_child

FINISHED = "seconds.json"
_COMPILES = 3.0  # a job that takes longer has probably compiled something
STEPS = 16  # of the pretraining run: a checkpoint every 2, each kept


@dataclass(frozen=True)
class Job:
    """A command that writes something.

    Attributes:
        words: of its output's folder -> the command line.
        begins_as: a folder of the material that its output's folder is a copy of before; or none.
        workers: whether it takes `--config.loader.workers` ("config"), `--workers` ("option").
        trains: whether it is a run, with checkpoints.
    """

    words: Callable[[Path], list[object]]
    begins_as: str = ""
    workers: str = ""
    trains: bool = False


class Material:
    """Small data sets, finished jobs and what they wrote, below one folder.

    Attributes:
        jobs: name -> job; "pretrain" and "finetune" are runs.
        seconds: name -> how long the uninterrupted job took.
    """

    def __init__(self, folder: Path):
        self.folder = folder
        self.seconds: dict[str, float] = {}
        at = folder.__truediv__
        exact = ["--dtype=float32", "--workers=0"]
        convert = ["data", "convert", "videos", f"--source={at('videos')}", "--short-side=32"]
        convert += [f"--labels={at('labels')}", "--workers=2"]
        model = f"--checkpoint={self.output('finetune')}"
        student = self.output("pretrain")
        scores = self.output("finetune") / "predictions.npz"
        self.jobs = {
            "pretrain": Job(
                lambda out: ["pretrain", f"--config={at('pretrain.py')}", f"--workdir={out}"],
                workers="config",
                trains=True,
            ),
            "finetune": Job(
                lambda out: ["finetune", f"--config={at('finetune.py')}", f"--workdir={out}"],
                workers="config",
                trains=True,
            ),
            "convert": Job(lambda out: [*convert, f"--out={out}"]),
            "pack": Job(
                lambda out: ["data", "pack", out, "--workers=2", "--frames-per-shard=10"],
                begins_as="noise",
            ),
            "features": Job(
                lambda out: (
                    ["features", f"--init={self.output('finetune')}", *exact]
                    + [f"--dataset={at('colours')}", "--batch-size=8", f"--out={out}"]
                ),
                workers="option",
            ),
            "predict": Job(
                lambda out: ["predict", at("videos"), model, *exact, f"--out={out}"],
                workers="option",
            ),
            "export": Job(
                lambda out: (
                    ["weights", "export", student, "--as=surgvista"]
                    + [f"--out={out / 'student.safetensors'}"]
                )
            ),
            "import": Job(
                lambda out: (
                    ["weights", "import", self.output("export") / "student.safetensors"]
                    + [f"--out={out}"]
                )
            ),
            "evaluate": Job(
                lambda out: (
                    ["evaluate", scores, "--protocol=phase-strict", "--samples=20"]
                    + [f"--out={out}"]
                )
            ),
            "check": Job(
                lambda out: ["data", "check", at("noise"), f"--html={out / 'check.html'}"]
            ),
            "figure": Job(
                lambda out: (
                    ["figure", "reconstruction", f"--checkpoint={student}"]
                    + [f"--out={out / 'figure.png'}"]
                )
            ),
            "synthetic": Job(
                lambda out: (
                    ["data", "synthetic", "--task=phase", "--videos=4", "--frames=28"]
                    + ["--size=32", f"--out={out}"]
                )
            ),
        }

    def output(self, job: str) -> Path:
        """The folder of what an uninterrupted job wrote."""
        return self.folder / f"{job}_out"

    def begin(self, job: str, out: Path) -> Path:
        """Makes the folder that a job is to write to, as it is before; returns it.

        Called as the uninterrupted job's, it gives the same reports, which name runs by folders.
        """
        if begins_as := self.jobs[job].begins_as:
            shutil.copytree(self.folder / begins_as, out)
        return out

    def make(self, say: Callable[[str], None]) -> None:
        """Makes everything, or takes what an earlier start has made.

        Raises:
            RuntimeError: a job does not even succeed undisturbed.
        """
        finished = self.folder / FINISHED
        if finished.exists():
            self.seconds = json.loads(finished.read_text())
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        in_child(_make_inputs, self.folder)
        for name in self.jobs:
            took = self._run(name, self.output(name))
            if took > _COMPILES:  # what kills will meet is a start that finds it compiled
                again = self.folder / "again" / name
                took = self._run(name, again)
                shutil.rmtree(again)
            self.seconds[name] = took
            say(f"{name}: {took:.1f} s")
        finished.write_text(json.dumps(self.seconds))

    def _run(self, name: str, out: Path) -> float:
        """Runs a job undisturbed; returns how long it took."""
        self.begin(name, out)
        said = out.with_name(f"{out.name}_said")
        ended = Command(list(map(str, self.jobs[name].words(out))), said).finish(600)
        if ended.code:
            raise RuntimeError(f"{name} fails undisturbed: {ended.out}{ended.err}")
        shutil.rmtree(said)
        return ended.seconds


def _make_inputs(folder: Path) -> None:
    noise = tiny_run.make_dataset(folder / "noise")
    config = tiny_run.make_config(folder / "pretrain.py", noise)
    text = (
        config.read_text().replace('"random"', '"none"').replace('"steps": 8', f'"steps": {STEPS}')
    )
    config.write_text(text.replace('"max_to_keep": 20', f'"max_to_keep": {STEPS}'))
    colours = finetune_run.make_dataset(folder / "colours")
    config = finetune_run.make_config(folder / "finetune.py", colours)
    heads = '"heads": 2, "attention_bias": "qv"}, '  # names that an export can have
    config.write_text(config.read_text().replace('"heads": 2}, ', heads))
    for number in range(3):
        write_video(folder / "videos" / f"film{number}.mp4", 50 + 25 * number)
    write_images(folder / "videos" / "stills", [(64, 48)] * 6)
    (folder / "labels").mkdir()
    for video, seconds in {"film0": 2, "film1": 3, "film2": 4, "stills": 6}.items():
        text = f"start,end,label\n0,1,Dissection\n1,{seconds},Closure\n"
        (folder / "labels" / f"{video}.csv").write_text(text)
    phases = feature_run.make_dataset(folder / "phases")
    feature_run.make_features(folder / "phase_features", phases)
