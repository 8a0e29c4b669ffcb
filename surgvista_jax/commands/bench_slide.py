"""The command `surgvista bench slide`: what it costs that clips share frames, crop and teacher.

A student is pretrained in each way, from several seeds: first on as many clips as the first way,
then for as long as the first way took, by the speeds that were logged. Each is measured by its loss
on clips that none was trained on, and by a linear probe.

Pretrainings and probes are the runs of a study, side by side where `--jobs` says so: on a GPU each
has a process of its own, and what crashes is one run, with which the same command goes on. The
losses come last, in a process of theirs. So this one starts no device: JAX would take most of its
memory from those that compute.
"""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import ml_collections
import numpy as np

from surgvista_jax.config import build, load_config
from surgvista_jax.config.printing import add_print_config, printed
from surgvista_jax.data.batches.division import SplitConfig, divide
from surgvista_jax.data.batches.stretches import stretches_of
from surgvista_jax.data.dataset import Dataset
from surgvista_jax.data.own_process import in_own_process
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import TOLD_TO_STOP, UserError
from surgvista_jax.facts.whole_numbers import whole
from surgvista_jax.json_object import read_object
from surgvista_jax.locking import alone_in
from surgvista_jax.metrics.statistics import over_seeds
from surgvista_jax.studies.places import Place, places_here
from surgvista_jax.studies.slide_runs import Part, SlideRuns, Stopped, Way
from surgvista_jax.tasks.choosing.choice import refuse_choices
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.outcome import RESULT
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.held_out import Job, in_a_process

HELD_OUT = 64  # clips that the loss is measured on
CLIPS, TIME = "clips", "time"


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
    parser.add_argument(
        "--jobs",
        type=int,
        default=1,
        metavar="N",
        help="runs side by side, each on a GPU or a share of the cores (%(default)s)",
    )
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
    places = places_here(arguments.jobs)
    study = Study(values, arguments.probe, arguments.data, arguments.out, places)
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
        places: where they run.
    """

    values: ml_collections.ConfigDict
    probe: str
    data: Path
    out: Path
    places: Sequence[Place]

    @property
    def runs(self) -> SlideRuns:
        probe = load_config(self.probe, FinetuneConfig, kinds=("finetuning",)).to_dict()
        values = self.values.to_dict()
        return SlideRuns(values, self.probe, probe, self.data, self.out, self.places)

    def compare(self, ways: list[Way], seeds: int) -> list[Measured]:
        """Measures all ways with equal clips, and all but the first in its time."""
        each = {way: self.clips_of_a_step(way) for way in ways}  # raises before the first run
        self.test_videos()
        runs = self.runs
        clips = self.values.budget.steps * each[ways[0]]
        alike = [Part(way, CLIPS, max(1, round(clips / each[way]))) for way in ways]
        runs.run(alike, seeds)
        rates = {part.way: runs.rate(part, seeds) for part in alike}
        seconds = alike[0].steps * each[ways[0]] / rates[ways[0]]
        in_time = [
            Part(way, TIME, max(1, round(seconds * rates[way] / each[way]))) for way in ways[1:]
        ]
        runs.run(in_time, seeds)
        parts = [*alike, *in_time]
        losses, device = self.held_out_losses(
            [runs.pretraining(part.name(seed)) for part in parts for seed in range(seeds)]
        )
        measured = []
        for number, part in enumerate(parts):
            clips, rate = part.steps * each[part.way], runs.rate(part, seeds)
            scores = [_score(runs.probed(part.name(seed), seed)) for seed in range(seeds)]
            loss = losses[number * seeds : (number + 1) * seeds]
            line = str(part.way), part.equal, round(clips), rate, clips / rate, loss, scores, device
            measured.append(Measured(*line))
        return measured

    def clips_of_a_step(self, way: Way) -> float:
        """Clips of a step, on average: less than the batch size where places stay empty.

        Raises:
            UserError: the videos are too short for so many clips a stretch.
        """
        config = build(PretrainConfig, self.config(way))
        train = read_dataset(self.data).split(config.data.split)
        lengths = [video.num_frames for video in train.videos]
        filled = stretches_of(lengths, config.clip, config.model.tubelet).filled
        return config.budget.batch_size * filled

    def config(self, way: Way) -> ml_collections.ConfigDict:
        """The configuration of pretraining in one way."""
        config = self.values.copy_and_resolve_references()
        with config.unlocked():
            config.data.folder = str(self.data)
            config.clip.slide, config.mask.masks_per_clip = way
        return config

    def held_out_losses(self, runs: list[Path]) -> tuple[list[float], str]:
        """Pixel loss of runs' students on clips of test videos, and the device that computed."""
        job = Job(self.config(Way(1, 1)), runs, self.test_videos(), HELD_OUT)
        what, advice = f"{self.out}: measuring held-out losses", "the same command goes on with it"
        return in_own_process(what, in_a_process, job, advice=advice)

    def test_videos(self) -> Dataset:
        """Those that the probe is tested on."""
        test = divide(read_dataset(self.data), SplitConfig(), "val").test
        if test is None:
            raise UserError(f"{self.data}: has no test videos")
        return test


def _score(run: Path) -> float:
    """Of a linear probe on the test videos."""
    return float(read_object(run / RESULT)["test"])


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
