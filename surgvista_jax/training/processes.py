"""Several processes as one run: `jax.distributed`, before any device is asked for."""

import argparse
import os
import sys
import threading
from pathlib import Path

import jax
import numpy as np
from jax.experimental import multihost_utils

from surgvista_jax.errors import UserError
from surgvista_jax.training.devices import start_devices
from surgvista_jax.training.launchers import in_terminal, launch

# Seconds until a process that waits says so, and until it gives up: processes of one machine start
# together (but for a cold disk), others when their machines are ready. JAX itself would end by an
# abort, with a trace.
_QUIET = 10.0
_PATIENCE_HERE = 120.0
_PATIENCE = 300.0
_ADVICE = (
    "start all of them (srun, mpirun, or the same command with another --process-id), or this one"
    " alone (with SLURM_NTASKS=1 under Slurm)"
)


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
        "--config",
        required=True,
        metavar="FILE.py[:ARGUMENT]|FILE.json|FILE.toml",
        help="a file of code with get_config, or of data, such as a run's config.json",
    )
    parser.add_argument(
        "--workdir", required=True, type=Path, help="the run's folder; a run there is continued"
    )
    add_arguments(parser)


def join(arguments: argparse.Namespace) -> None:
    """Connects this process with the others of its run, if there are any, and starts its devices.

    Raises:
        UserError: the options or the variables of a launcher do not fit each other, the others
            cannot be reached, or the devices that the environment asks for are not here.
    """
    by_hand = (arguments.coordinator, arguments.num_processes, arguments.process_id)
    if any(value is not None for value in by_hand):
        _check_by_hand(*by_hand)
        promise = f"--num-processes={arguments.num_processes}"
        _connect(promise, _PATIENCE, *by_hand)
    elif arguments.distributed:
        _connect("--distributed", _PATIENCE)
    elif launched := launch(os.environ, in_terminal()):
        _connect(
            launched.promise,
            _PATIENCE_HERE if launched.on_one_host else _PATIENCE,
            num_processes=launched.num_processes,
            process_id=launched.process_id,
            # JAX would take one device a process; no device named means all that it sees.
            local_device_ids=[] if launched.sees_all_devices else None,
        )
    start_devices()


def _check_by_hand(coordinator: str | None, count: int | None, rank: int | None) -> None:
    if coordinator is None or count is None or rank is None:
        raise UserError("--coordinator, --num-processes and --process-id go together")
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isascii() or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise UserError(f"--coordinator={coordinator}: should be HOST:PORT, such as node1:12345")
    if count < 1:
        raise UserError(f"--num-processes={count}: at least 1 is needed")
    if not 0 <= rank < count:
        raise UserError(f"--process-id={rank}: should be from 0 to {count - 1}")


def _connect(
    promise: str,
    patience: float,
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    local_device_ids: list[int] | None = None,
) -> None:
    """`jax.distributed.initialize`, which waits in silence and ends by an abort, made to speak."""
    waiting = f"{promise}: waiting for the other processes; {_ADVICE}"
    gave_up = f"{promise}: the other processes did not come within {patience:g} s; {_ADVICE}"
    notes = [
        threading.Timer(_QUIET, _say, [waiting]),
        threading.Timer(patience, _give_up, [gave_up]),
    ]
    for note in notes:
        note.daemon = True
        note.start()
    try:
        jax.distributed.initialize(
            coordinator,
            num_processes,
            process_id,
            local_device_ids,
            initialization_timeout=round(patience) + 60,  # ours comes first
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"{promise}: the processes of this run cannot be joined ({reason}); give --coordinator,"
            " --num-processes and --process-id"
        ) from None
    finally:
        for note in notes:
            note.cancel()


def _say(line: str) -> None:
    print(f"surgvista: {line}", file=sys.stderr, flush=True)


def _give_up(line: str) -> None:
    """Ends this process, whose main thread is held in JAX."""
    _say(line)
    os._exit(1)


def on_all_processes(flags: np.ndarray) -> np.ndarray:
    """Which flags are true on every process, bool of the same shape; all processes call it."""
    flags = np.asarray(flags, bool)
    if jax.process_count() == 1:
        return flags
    return multihost_utils.process_allgather(flags).all(0)
