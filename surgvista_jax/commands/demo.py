"""The command `surgvista demo`: videos, a tiny student, a figure, a classifier, a page."""

import argparse
import math
from pathlib import Path

import ml_collections

from surgvista_jax.config import load_config, told_keys
from surgvista_jax.config.printing import add_print_config, printed
from surgvista_jax.data.conversion.extract import ExtractConfig
from surgvista_jax.data.conversion.own_videos import VideoLabels, convert_videos
from surgvista_jax.data.storage.manifest import read_dataset
from surgvista_jax.errors import TOLD_TO_STOP, UserError
from surgvista_jax.inference.page import predicted_page
from surgvista_jax.locking import alone_in
from surgvista_jax.ownership import add_overwrite
from surgvista_jax.synthetic import PHASES, write_videos
from surgvista_jax.tasks import programs
from surgvista_jax.tasks.finetuning.config import FinetuneConfig
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.student_page import student_lanes, write_student_pages
from surgvista_jax.tasks.pretraining.train import pretrain
from surgvista_jax.training.compilation_cache import keep_compiled
from surgvista_jax.training.determinism import asked_in, make_deterministic
from surgvista_jax.training.devices import start_devices
from surgvista_jax.weights import shipped
from surgvista_jax.writing import clear_asides, new_folder, write_text

CONFIG = "configs/demo.py"
# The made-up operations move at up to 2 Hz, which 5 frames a second still show.
FPS = 5.0
# Many short operations teach more than a few long ones; pages show longer and larger ones. Several,
# as one may be easy or hard: the same classifier tells from half to nearly all of their moments.
NUM_VIDEOS, NUM_FRAMES, SIZE = 48, 60, 96
NUM_UNSEEN, UNSEEN_FRAMES, UNSEEN_SIZE = 3, 80, 160  # by pretraining and finetuning
SEED = 1  # the student that ships was trained on operations of seed 0
SPLITS = "splits.txt"
FINETUNING = "configs/finetune/demo.py"
CLIP_IS_MEANT = (
    "--config.clip.num_frames",
    "--config.clip.stride",
)  # other ones than the student's


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--source",
        type=Path,
        metavar="DIR",
        help="a folder with your own videos or frame folders (default: made-up operations)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        default=Path("surgvista_demo"),
        help="where everything is written (default: %(default)s)",
    )
    parser.add_argument(
        "--fps", type=float, default=FPS, help="frames a second to take (default: %(default)s)"
    )
    add_overwrite(parser)
    add_print_config(parser)
    parser.epilog = f"--config.a.b=VALUE replaces a value of {CONFIG}"
    parser.set_defaults(config=CONFIG)


def main(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config, PretrainConfig, arguments.overrides)
    if printed(arguments, config, PretrainConfig, "pretraining"):
        return 0
    with alone_in(arguments.out, "take another --out"):
        return _demo(arguments, config.unlock())


def _demo(arguments: argparse.Namespace, config: ml_collections.ConfigDict) -> int:
    out, made_up = arguments.out, arguments.source is None
    if not (math.isfinite(arguments.fps) and arguments.fps > 0):
        raise UserError(f"--fps {arguments.fps:g}: must be a number above 0")
    make_deterministic(asked_in(config))
    start_devices()
    keep_compiled()
    steps = 5 if made_up else 4
    source = out / "videos" if made_up else arguments.source
    print(f"1/{steps}  {'made-up operations ->' if made_up else 'your videos:'} {source}")
    if made_up and not source.exists():
        _make_up(source)

    dataset = out / "dataset"
    print(f"2/{steps}  frames at {arguments.fps:g} a second -> {dataset}")
    conversion = convert_videos(
        source,
        dataset,
        ExtractConfig(arguments.fps, max(config.clip.size, UNSEEN_SIZE)),  # pages show these frames
        labels=_labels(source) if made_up else None,
        overwrite=arguments.overwrite,
    )
    for remark in conversion.notes + conversion.problems:
        print(f"     {remark}")

    run = out / "run"
    config.data.folder = str(dataset)
    print(f"3/{steps}  pretraining for {config.budget.steps} steps -> {run}")
    if Path(config.init).parent == Path(shipped.__file__).parent:
        print("     from a student that ships with the package, trained on made-up surgery alone")
    finished = pretrain(config.lock(), run, arguments.overwrite)
    if finished.preempted:
        print(f"stopped at step {finished.step}; the same command goes on from there")
        return TOLD_TO_STOP
    if made_up:
        model, predictions = out / "classifier", out / "predictions"
        print(f"4/{steps}  finetuning a classifier of phases -> {model}")
        if not _finetuned(run, dataset, model, arguments.overwrite):
            print("stopped; the same command goes on from there")
            return TOLD_TO_STOP
        print(f"5/{steps}  predicting {NUM_UNSEEN} operations never seen -> {predictions}")
        lanes = student_lanes(run, finished.step, read_dataset(dataset))
        page, right = predicted_page(
            model, dataset, "test", predictions, lanes, overwrite=arguments.overwrite
        )
        print("     the best path through each, by how phases follow one another in training")
        shows = (
            f"what the classifier says of operations that nothing has seen: {right:.0%} of their"
            " moments right\n      (`Details` shows where not, and what the student rebuilds)"
        )
    else:
        pages = out / "pages"
        print(f"4/{steps}  what the student makes of your videos -> {pages}")
        page = write_student_pages(
            run, finished.step, read_dataset(dataset), pages, arguments.overwrite
        )
        shows = "your videos, what the student rebuilds of them, its features as colours"
    _tell(out, run, page, shows)
    return 0


def _make_up(source: Path) -> None:
    """Writes operations with phases, the last of which are for predictions alone."""
    clear_asides(source.parent)
    with new_folder(source) as partial:
        write_videos(partial, NUM_VIDEOS, SEED, NUM_FRAMES, FPS, SIZE)
        write_videos(partial, NUM_UNSEEN, SEED, UNSEEN_FRAMES, FPS, UNSEEN_SIZE, first=NUM_VIDEOS)
        names = sorted(path.stem for path in partial.glob("*.mp4"))
        parts = ["train"] * NUM_VIDEOS + ["test"] * NUM_UNSEEN
        rows = (f"{name},{part}\n" for name, part in zip(names, parts, strict=True))
        write_text(partial / SPLITS, ("video,split\n", *rows))


def _labels(source: Path) -> VideoLabels:
    return VideoLabels(source, "phase", classes=PHASES, splits=source / SPLITS)


def _finetuned(run: Path, dataset: Path, model: Path, overwrite: bool) -> bool:
    """Whether a classifier came to its end that starts from a run's student."""
    words = [f"--config.init={run}", f"--config.data.folder={dataset}"]
    config = load_config(FINETUNING, FinetuneConfig, words)
    return programs.run(config, model, told_keys([*words, *CLIP_IS_MEANT]), overwrite)


def _tell(out: Path, run: Path, page: Path, shows: str) -> None:
    """Says where to look, and what to do next.

    Args:
        shows: what the page does.
    """
    print(
        f"""
Done. Open in a browser
  {page}
      {shows}

Look at
  {run / "figures"}
      what the student rebuilds of clips of which it sees a quarter
  {run / "metrics.jsonl"}
      the loss by step (also: tensorboard --logdir {out})
  {run / "checkpoints"}
      the student, with all that an interrupted run continues from

Next
  surgvista demo --source YOUR_VIDEOS --out OTHER_FOLDER
      the same with your own videos
  surgvista data convert videos --source YOUR_VIDEOS --out DATASET
  surgvista pretrain --config=configs/pretrain/own.py --workdir=RUN --config.data.folder=DATASET
      a student for your data and your device; configs/pretrain/ has more
  surgvista finetune --config=configs/finetune/own.py --workdir=MODEL \\
      --config.data.folder=LABELLED_DATASET --config.init=RUN
      a classifier of your labels"""
    )
