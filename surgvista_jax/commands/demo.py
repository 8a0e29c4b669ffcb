"""The command `surgvista demo`: videos, a dataset folder, a tiny pretrained student, a figure."""

import argparse
import math
from pathlib import Path

import ml_collections

from surgvista_jax.config import load_config
from surgvista_jax.config.printing import add_print_config, printed
from surgvista_jax.data.conversion.extract import ExtractConfig
from surgvista_jax.data.conversion.own_videos import convert_videos
from surgvista_jax.errors import TOLD_TO_STOP, UserError
from surgvista_jax.locking import alone_in
from surgvista_jax.ownership import add_overwrite
from surgvista_jax.synthetic import write_videos
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.train import pretrain
from surgvista_jax.training.compilation_cache import keep_compiled
from surgvista_jax.training.determinism import asked_in, make_deterministic
from surgvista_jax.training.devices import start_devices
from surgvista_jax.writing import clear_asides, new_folder

CONFIG = "configs/demo.py"
# The made-up operations move at up to 2 Hz, which 5 frames a second still show.
FPS = 5.0
NUM_VIDEOS, NUM_FRAMES, SIZE = 8, 120, 160


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
    out = arguments.out
    source = arguments.source
    if not (math.isfinite(arguments.fps) and arguments.fps > 0):
        raise UserError(f"--fps {arguments.fps:g}: must be a number above 0")
    make_deterministic(asked_in(config))
    start_devices()
    keep_compiled()
    if source is None:
        source = out / "videos"
        print(f"1/3  made-up operations -> {source}")
        if not source.exists():
            clear_asides(out)
            with new_folder(source) as partial:
                write_videos(partial, NUM_VIDEOS, 0, NUM_FRAMES, FPS, SIZE)
    else:
        print(f"1/3  your videos: {source}")

    dataset = out / "dataset"
    print(f"2/3  frames at {arguments.fps:g} a second -> {dataset}")
    conversion = convert_videos(
        source,
        dataset,
        ExtractConfig(arguments.fps, config.clip.size),
        overwrite=arguments.overwrite,
    )
    for remark in conversion.notes + conversion.problems:
        print(f"     {remark}")

    run = out / "run"
    config.data.folder = str(dataset)
    print(f"3/3  pretraining for {config.budget.steps} steps -> {run}")
    finished = pretrain(config.lock(), run, arguments.overwrite)
    if finished.preempted:
        print(f"stopped at step {finished.step}; the same command goes on from there")
        return TOLD_TO_STOP
    print(
        f"""
Done. Look at
  {run / "figures"}
      what the student rebuilds of clips of which it sees a quarter
  {run / "metrics.jsonl"}
      the loss by step (also: tensorboard --logdir {out}); predicting nothing gives 1
  {run / "checkpoints"}
      the student, with all that an interrupted run continues from

Next
  surgvista demo --source YOUR_VIDEOS --out OTHER_FOLDER
      the same with your own videos
  surgvista data convert videos --source YOUR_VIDEOS --out DATASET
  surgvista pretrain --config=configs/pretrain/pixels_only.py --workdir=RUN \\
      --config.data.folder=DATASET
      a ViT-B for GPUs and TPUs, without a teacher; configs/pretrain/ has more"""
    )
    return 0
