"""The command `surgvista pretrain`: a dataset folder in, a pretrained student out."""

import argparse
from pathlib import Path

from surgvista_jax.config import load_config
from surgvista_jax.errors import TOLD_TO_STOP
from surgvista_jax.tasks.pretraining.config import PretrainConfig
from surgvista_jax.tasks.pretraining.train import pretrain
from surgvista_jax.training import processes


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", required=True, metavar="FILE.py[:ARGUMENT]", help="a file with get_config"
    )
    parser.add_argument(
        "--workdir", required=True, type=Path, help="the run's folder; a run there is continued"
    )
    processes.add_arguments(parser)
    parser.epilog = "--config.a.b=VALUE replaces a value of the configuration"


def main(arguments: argparse.Namespace) -> int:
    config = load_config(arguments.config, PretrainConfig, arguments.overrides)
    processes.join(arguments)
    finished = pretrain(config, arguments.workdir)
    return TOLD_TO_STOP if finished.preempted else 0
