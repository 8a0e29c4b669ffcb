"""The command `surgvista bench slide`: what it costs that clips share frames, crop and teacher.

A student is pretrained in each way, from several seeds: first on as many clips as the first way,
then for as long as the first way took, by the speeds that were logged. Each is measured by its loss
on clips that none was trained on, and by a linear probe.

Each pretraining, each loss and each probe is a process of its own: in one process after another the
second has crashed on a GPU (`training.child` says why), memory starts afresh, and what crashes is
one run, with which the same command goes on. So this process starts no device: JAX would take most
of its memory from those that compute.
"""

import argparse
import dataclasses
import json
import statistics
import tempfile
from pathlib import Path
from typing import NamedTuple

import ml_collections
import numpy as np

from surgvista_jax.config import build, load_config
from surgvista_jax.config.printing import KIND, add_print_config, printed
from surgvista_jax.data.batches.division import SplitConfig, divide
from surgvista_jax.data.batches.stretches import stretches_of
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.data.own_process import in_own_process
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import TOLD_TO_STOP, UserError
from surgvista_jax.facts.whole_numbers import whole
from surgvista_jax.json_lines import read_lines
from surgvista_jax.json_object import read_object
from surgvista_jax.locking import alone_in
from surgvista_jax.metrics.statistics import over_seeds
from surgvista_jax.tasks.choosing.choice import refuse_choices
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.outcome import RESULT
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.held_out import Job, in_a_process
from surgvista_jax.training.child import Stopped, run_program

HELD_OUT = 64  # clips that the loss is measured on
CLIPS, TIME = "clips", "time"


class Way(NamedTuple):
    """How clips share what is decoded: `slide` of a stretch, each under so many masks."""

    slide: int
    masks: int

    def __str__(self) -> str:
        return f"{self.slide}x{self.masks}" if self.masks > 1 else str(self.slide)


@dataclasses.dataclass(frozen=True)
class Measured:
    """One line of the result.

    Attributes:
        way: as `Way` is written.
        equal: what it has in common with the first way: "clips" or "time".
        clips: those that each seed was trained on.
        clips_per_second: median of what was logged, of all seeds.
        seconds: of training a seed, at that speed.
        pixel_loss: of held-out clips, a value for each seed.
        score: of the linear probe on the test videos, likewise.
        device: the kind of those that computed.
    """

    way: str
    equal: str
    clips: int
    clips_per_second: float
    seconds: float
    pixel_loss: list[float]
    score: list[float]
    device: str


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the options of `surgvista bench slide`."""
    parser.add_argument(
        "--config",
        required=True,
        metavar="FILE.py[:ARGUMENT]|FILE.json|FILE.toml",
        help="of pretraining; with budget.steps",
    )
    parser.add_argument(
        "--probe",
        default="configs/finetune/recipe.py",
        metavar="FILE",
        help="configuration of finetuning that is taken for the linear probe (%(default)s)",
    )
    data = parser.add_argument(
        "--data", required=True, type=Path, help="dataset folder with labels"
    )
    out = parser.add_argument("--out", required=True, type=Path, help="folder of the runs")
    parser.add_argument(
        "--ways",
        nargs="+",
        default=["1", "8", "8x4"],
        metavar="SLIDE[xMASKS]",
        help="clips that slide over a stretch, and masks of each; all are compared with the first"
        " (1 8 8x4)",
    )
    parser.add_argument("--seeds", type=int, default=3, help="runs of each (%(default)d)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    add_print_config(parser, waived=[data, out])
    parser.epilog = "--config.a.b=VALUE replaces a value of the pretraining configuration"


def main(arguments: argparse.Namespace) -> int:
    if arguments.seeds < 1:
        raise UserError(f"--seeds={arguments.seeds}: at least 1 is needed")
    ways = [parse_way(word) for word in arguments.ways]
    values = load_config(
        arguments.config, PretrainConfig, arguments.overrides, kinds=("pretraining",)
    )
    refuse_choices(values, arguments.config)
    if printed(arguments, values, PretrainConfig, "pretraining"):
        return 0
    if values.budget.steps is None:
        raise UserError("config.budget.epochs: say --config.budget.steps=N, which ways have alike")
    load_config(arguments.probe, FinetuneConfig, kinds=("finetuning",))  # is there one?
    study = Study(values, arguments.probe, arguments.data, arguments.out)
    with alone_in(arguments.out, "take another --out"):
        try:
            measured = study.compare(ways, arguments.seeds)
        except Stopped:
            return TOLD_TO_STOP
    device = " and ".join(sorted({line.device for line in measured}))
    if arguments.json:
        lines = [dataclasses.asdict(line) for line in measured]
        print(json.dumps({"device": device, "ways": lines}))
    else:
        print(f"{table(measured)}\nmeasured on: {device}")
    return 0


def parse_way(word: str) -> Way:
    """ "8x4" -> 8 clips a stretch, 4 masks a clip. Raises UserError for anything else."""
    parts = [whole(part) or 0 for part in word.split("x")]
    if len(parts) > 2 or min(parts) < 1:
        raise UserError(f"--ways {word}: should be SLIDE or SLIDExMASKS, such as 8 or 8x4")
    return Way(parts[0], parts[1] if len(parts) == 2 else 1)


@dataclasses.dataclass(frozen=True)
class Study:
    """Runs that differ in their way, their seed and their number of steps alone.

    Attributes:
        values: the configuration of pretraining.
        probe: the file of the probe's.
        data: the dataset folder of both.
        out: where the runs lie; those that are there already are not repeated.
    """

    values: ml_collections.ConfigDict
    probe: str
    data: Path
    out: Path

    def compare(self, ways: list[Way], seeds: int) -> list[Measured]:
        """Measures all ways with equal clips, and all but the first in its time."""
        for way in ways:  # what is raised here is not raised after the first run
            self.clips_of_a_step(way)
        self.test_videos()
        clips = self.values.budget.steps * self.clips_of_a_step(ways[0])
        first, *others = [self.measure(way, CLIPS, clips, seeds) for way in ways]
        in_time = [
            self.measure(way, TIME, first.seconds * line.clips_per_second, seeds)
            for way, line in zip(ways[1:], others, strict=True)
        ]
        return [first, *others, *in_time]

    def clips_of_a_step(self, way: Way) -> float:
        """Clips of a step, on average: less than the batch size where places stay empty.

        Raises:
            UserError: the videos are too short for so many clips a stretch.
        """
        config = build(PretrainConfig, self.config(way, 1, 0))
        train = read_dataset(self.data).split(config.data.split)
        lengths = [video.num_frames for video in train.videos]
        filled = stretches_of(lengths, config.clip, config.model.tubelet).filled
        return config.budget.batch_size * filled

    def measure(self, way: Way, equal: str, clips: float, seeds: int) -> Measured:
        """Pretrains one way on about so many clips, and probes it, from each seed."""
        rates, losses, scores, devices = [], [], [], set()
        each = self.clips_of_a_step(way)
        steps = max(1, round(clips / each))
        for seed in range(seeds):
            folder = self.out / f"slide{way}-equal-{equal}-seed{seed}"
            config = self.config(way, steps, seed)
            pretrain(config, folder / "pretraining")
            rates += logged_rates(folder / "pretraining")
            loss, device = self.held_out_loss(config, folder / "pretraining")
            losses.append(loss)
            devices.add(device)
            scores.append(self.probe_score(folder, seed))
        clips, rate = steps * each, statistics.median(rates)
        device = " and ".join(sorted(devices))
        seconds = clips / rate
        return Measured(str(way), equal, round(clips), rate, seconds, losses, scores, device)

    def config(self, way: Way, steps: int, seed: int) -> ml_collections.ConfigDict:
        """The configuration of one run of pretraining."""
        config = self.values.copy_and_resolve_references()
        with config.unlocked():
            config.data.folder = str(self.data)
            config.clip.slide, config.mask.masks_per_clip = way
            config.budget.steps, config.seed = steps, seed
        return config

    def held_out_loss(self, config: ml_collections.ConfigDict, run: Path) -> tuple[float, str]:
        """Pixel loss of a run's student on clips of test videos, and the device that computed."""
        job = Job(config, run, self.test_videos(), HELD_OUT)
        what, advice = f"{run}: measuring its held-out loss", "the same command goes on with it"
        return in_own_process(what, in_a_process, job, advice=advice)

    def test_videos(self) -> Dataset:
        """Those that the probe is tested on."""
        test = divide(read_dataset(self.data), SplitConfig(), "val").test
        if test is None:
            raise UserError(f"{self.data}: has no test videos")
        return test

    def probe_score(self, folder: Path, seed: int) -> float:
        """The score of a linear probe on the test videos."""
        told = {"mode": "linear", "seed": seed, "init": folder / "pretraining"}
        words = [f"--config.{key}={value}" for key, value in told.items()]
        words += [f"--config.data.folder={self.data}", "--config.evaluation.protocol="]
        workdir = folder / "probe"
        run_program(["finetune", f"--config={self.probe}", f"--workdir={workdir}", *words], workdir)
        return float(read_object(workdir / RESULT)["test"])


def pretrain(config: ml_collections.ConfigDict, workdir: Path) -> None:
    """Runs, or continues, `surgvista pretrain`, which is told every key: files may change."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "pretraining.json"
        file.write_text(json.dumps({KIND: "pretraining", **config.to_dict()}))
        run_program(["pretrain", f"--config={file}", f"--workdir={workdir}"], workdir)


def logged_rates(run: Path) -> list[float]:
    """Clips a second of each line of a run's metrics that has them."""
    lines = [line.values for line in read_lines(run / "metrics.jsonl")]
    rates = [line["clips_per_second"] for line in lines if "clips_per_second" in line]
    if not rates:
        raise UserError(
            f"{run}: too short to be timed: say more --config.budget.steps, or a lower"
            " --config.loop.log_every"
        )
    return rates


def table(measured: list[Measured]) -> str:
    """Lines of text; mean and deviation over seeds."""
    head = ("slide", "equal", "clips", "clips/s", "seconds", "held-out loss", "probe")
    rows: list[tuple[str, ...]] = [head]
    for line in measured:
        seeds = [over_seeds(np.array(values)) for values in (line.pixel_loss, line.score)]
        rows.append(
            (
                line.way,
                line.equal,
                f"{line.clips:,}",
                f"{line.clips_per_second:.0f}",
                f"{line.seconds:.0f}",
                *(
                    f"{mean:.4f}" + f" ± {spread:.4f}" * (count > 1)
                    for mean, spread, count in seeds
                ),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
