"""Several processes as one run: `jax.distributed`, before any device is asked for."""

import argparse
import os
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

from surgvista_jax.errors import UserError

# Where launchers say how many processes they started: Slurm, and Open MPI with PRRTE.
_LAUNCHED = ("SLURM_NTASKS", "OMPI_COMM_WORLD_SIZE")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that say which processes train together."""
    group = parser.add_argument_group("several processes (Slurm's and Open MPI's are detected)")
    group.add_argument(
        "--distributed",
        action="store_true",
        help="join the other processes of this TPU pod or Kubernetes job",
    )
    group.add_argument("--coordinator", metavar="HOST:PORT", help="where process 0 listens")
    group.add_argument("--num-processes", type=int, metavar="N", help="with --coordinator")
    group.add_argument("--process-id", type=int, metavar="I", help="with --coordinator, from 0")


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of a run: its configuration, its folder, its processes."""
    parser.add_argument(
        "--config", required=True, metavar="FILE.py[:ARGUMENT]", help="a file with get_config"
    )
    parser.add_argument(
        "--workdir", required=True, type=Path, help="the run's folder; a run there is continued"
    )
    add_arguments(parser)


def join(arguments: argparse.Namespace) -> None:
    """Connects this process with the others of its run, if there are any."""
    by_hand = (arguments.coordinator, arguments.num_processes, arguments.process_id)
    if any(value is not None for value in by_hand):
        if any(value is None for value in by_hand):
            raise UserError("--coordinator, --num-processes and --process-id go together")
        jax.distributed.initialize(*by_hand)
    elif arguments.distributed or any(int(os.environ.get(name, 1)) > 1 for name in _LAUNCHED):
        jax.distributed.initialize()


def on_all_processes(flags: np.ndarray) -> np.ndarray:
    """Which flags are true on every process, bool of the same shape; all processes call it."""
    flags = np.asarray(flags, bool)
    if jax.process_count() == 1:
        return flags
    return multihost_utils.process_allgather(flags).all(0)
