"""Several processes as one run: `jax.distributed`, before any device is asked for."""

import argparse
import atexit
import contextlib
import functools
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax._src.clusters import ClusterEnv  # JAX has no public name for what it finds out
from jax.experimental import multihost_utils

from surgvista_jax import stuck
from surgvista_jax.addresses import address_of, in_bucket
from surgvista_jax.config.printing import add_print_config
from surgvista_jax.errors import UserError, ending
from surgvista_jax.ownership import add_overwrite, sha256_of
from surgvista_jax.training.agreement import (
    differences,
    facts_of_code,
    facts_of_config,
)
from surgvista_jax.training.compilation_cache import keep_compiled
from surgvista_jax.training.devices import start_devices
from surgvista_jax.training.launchers import Launch, below_slurm, in_terminal, launch
from surgvista_jax.training.rendezvous import Start, meet
from surgvista_jax.training.watch import BEAT, SILENCE, Watch

# Seconds until a process that waits gives up: processes of one machine start together (but for a
# cold disk), others when their machines are ready. Where the variables of a launcher may have been
# handed down to a process alone, nobody would come.
_PATIENCE_DOUBTFUL = 20
_PATIENCE_HERE = 120
_PATIENCE = 300
_LONGEST = 604_800  # s, a week
_MOST = 2**16  # processes
_SHARED = 30.0  # seconds after which a file is seen on all machines, such as over NFS
_CLOSING = 30  # seconds in which JAX ends, where all processes are done
_SHUT = 10.0  # seconds in which a process that failed ends, whatever its threads wait for
# What computations across processes say when one of them has gone.
_OF_CONNECTIONS = r"gloo|nccl|connect|peer|socket|unavailable|deadline|timed? ?out|abort|cancel"

# Keys in which the processes of a run may differ: how many cores a machine has, and where data and
# weights lie there; their digests are compared later.
_FREE_KEYS = (
    *("loader", "data.folder", "data.features", "data.root", "init", "teacher.weights"),
    "checkpoint.local_folder",
)
_BY_HAND = "give --coordinator, --num-processes and --process-id"

_watch: Watch | None = None  # of this process; None where it runs alone


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
    group.add_argument(
        "--join-timeout",
        type=int,
        metavar="SECONDS",
        help=f"to wait for the other processes ({_PATIENCE}; {_PATIENCE_HERE} on one machine under"
        " Slurm and Open MPI)",
    )


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of a run: its configuration, its folder, its processes."""
    parser.add_argument(
        "--config",
        required=True,
        metavar="FILE.py[:ARGUMENT]|FILE.json|FILE.toml",
        help="a file of code with get_config, or of data, such as a run's config.json",
    )
    workdir = parser.add_argument(
        "--workdir", required=True, type=Path, help="the run's folder; a run there is continued"
    )
    add_print_config(parser, waived=[workdir])
    add_overwrite(parser)
    add_arguments(parser)


def run_facts(config: Mapping[str, Any], workdir: Path) -> dict[str, str]:
    """What of a run is the same in all of its processes: its configuration and its folder."""
    folder = address_of(workdir) if in_bucket(workdir) else str(workdir.absolute())
    return {**facts_of_config(config, _FREE_KEYS), "--workdir": folder}


@contextlib.contextmanager
def joined(
    arguments: argparse.Namespace, facts: Mapping[str, str], keeps_compiled: bool = True
) -> Iterator[None]:
    """Connects this process with the others of its run, if there are any, and starts its devices.

    Inside, the others are watched: when one ends, all do, by one line that names it.

    Args:
        arguments: of `add_arguments`.
        facts: what must be the same in all of them, beside the code and its packages.
        keeps_compiled: whether programs are kept for the next start (`compilation_cache`).

    Raises:
        UserError: the options or the variables of a launcher do not fit each other, the others do
            not come or were started otherwise, or the devices that the environment asks for are
            not here.
    """
    global _watch
    start = _start(arguments, facts)
    if start is None:
        start_devices()
        if keeps_compiled:
            keep_compiled()
        yield
        return
    watch = _watch = Watch(meet(start[0]), start[0].process == 0)
    try:
        _connect(*start)
        start_devices()
        yield
        watch.finish()
    except BaseException as error:
        _fail(watch, error)
        raise
    finally:
        _watch = None


def watched() -> Watch | None:
    """The watch of the other processes; None where this one runs alone."""
    return _watch


def agree(facts: Mapping[str, str]) -> None:
    """Checks that facts that were not known at the start are those of process 0; all call it.

    Raises:
        UserError: this process has others.
    """
    if _watch is None:
        return
    if jax.process_index() == 0:
        _watch.tell(dict(facts))
    elif found := differences(_watch.hear(), facts):
        raise UserError(f"process {jax.process_index()} differs from process 0 in {found}")


def agree_on_file(path: Path) -> None:
    """Checks that all see a file as process 0 has just written or found it; all call it.

    Raises:
        UserError: this process does not: the folder is another one on its machine.
    """
    if _watch is None:
        return
    if jax.process_index() == 0:
        _watch.tell({str(path): _digest(path)})
        return
    ((theirs, expected),) = _watch.hear().items()
    deadline = time.monotonic() + _SHARED
    while _digest(path) != expected:
        if time.monotonic() > deadline:
            raise UserError(
                f"{path}: process {jax.process_index()} does not see here what process 0 has in"
                f" {theirs}: the folder of a run has to be one that all machines share"
            )
        time.sleep(0.5)


def _digest(path: Path) -> str:
    """SHA-256 of a file (hex); "" where there is none."""
    try:
        return sha256_of(path)
    except OSError:
        return ""


def _start(
    arguments: argparse.Namespace, facts: Mapping[str, str]
) -> tuple[Start, list[int] | None] | None:
    """How this process was started, and the devices that it takes (None: all); None: alone."""
    by_hand = (arguments.coordinator, arguments.num_processes, arguments.process_id)
    launched = None
    if any(value is not None for value in by_hand):
        if arguments.distributed:
            raise UserError("--distributed: finds the processes itself; leave --coordinator out")
        _check_by_hand(*by_hand)
        promise, patience = f"--num-processes={arguments.num_processes}", _PATIENCE
    elif launched := launch(os.environ, in_terminal(), below_slurm()):
        promise = launched.promise
        here = _PATIENCE_DOUBTFUL if launched.is_doubtful else _PATIENCE_HERE
        patience = here if launched.on_one_host else _PATIENCE
    elif arguments.distributed:
        promise, patience = "--distributed", _PATIENCE
    else:
        return None
    if arguments.join_timeout is not None:
        patience = arguments.join_timeout
        if not 1 <= patience <= _LONGEST:
            raise UserError(f"--join-timeout={patience}: should be from 1 to {_LONGEST} s")
    address, count, process, devices = _detected(promise, by_hand, launched, patience)
    known = {**facts_of_code(), **facts}
    return Start(promise, address, count, process, patience, known), devices


def _detected(
    promise: str,
    by_hand: tuple[str | None, int | None, int | None],
    launched: Launch | None,
    patience: int,
) -> tuple[str, int, int, list[int] | None]:
    """Address, number of processes, this one's, its devices: what is not told, JAX finds out."""
    address, count, process = by_hand
    devices: Sequence[int] | None = None
    if launched is not None:
        count, process = launched.num_processes, launched.process_id
        # JAX would take one device a process; no device named means all that it sees.
        devices = [] if launched.sees_all_devices else None
    address = address or os.environ.get("JAX_COORDINATOR_ADDRESS")
    try:
        address, count, process, devices = ClusterEnv.auto_detect_unset_distributed_params(
            address, count, process, devices, None, patience
        )
    except Exception as error:  # whatever a cluster's own library raises
        raise UserError(f"{promise}: {_BY_HAND} ({str(error).partition(chr(10))[0]})") from None
    if address is None or count is None or process is None:
        raise UserError(
            f"{promise}: no TPU pod, Kubernetes job, Slurm or Open MPI is here; {_BY_HAND}"
        )
    _check_by_hand(address, count, process)
    return address, count, process, None if devices is None else list(devices)


def _check_by_hand(coordinator: str | None, count: int | None, rank: int | None) -> None:
    if coordinator is None or count is None or rank is None:
        raise UserError("--coordinator, --num-processes and --process-id go together")
    host, _, port = coordinator.rpartition(":")
    is_number = port.isascii() and port.isdecimal() and len(port) < 10
    # What is no name of a machine is told here: looking it up raises errors of many kinds.
    is_name = re.fullmatch(r"[\w.:%\[\]-]{1,253}", host, re.ASCII)
    if not is_name or not is_number or not 0 < int(port) < 2**16:
        raise UserError(
            f"--coordinator={coordinator[:300]!r}: should be HOST:PORT, such as node1:12345 (a"
            " port is a number from 1 to 65535)"
        )
    if not 1 <= count <= _MOST:
        raise UserError(f"--num-processes={count}: should be from 1 to {_MOST}")
    if not 0 <= rank < count:
        raise UserError(f"--process-id={rank}: should be from 0 to {count - 1}")


def _connect(start: Start, devices: list[int] | None) -> None:
    """Has JAX connect the processes, which are all there."""
    try:
        jax.distributed.initialize(
            start.address,
            start.count,
            start.process,
            devices,
            cluster_detection_method="deactivate",
            initialization_timeout=round(start.patience),
            shutdown_timeout_seconds=_CLOSING,
        )
    except (RuntimeError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UserError(f"{start.promise}: JAX cannot join the processes ({reason})") from None


def _fail(watch: Watch, error: BaseException) -> None:
    """Tells the others why this process ends, and sees to it that it does."""
    end = ending(error)
    if end is None and re.search(_OF_CONNECTIONS, str(error), re.IGNORECASE):
        time.sleep(SILENCE + 2 * BEAT)  # another one has ended: the watch names it, and ends us
    words = end.words if end else f"{type(error).__name__}: {error}".partition("\n")[0]
    watch.fail(words)
    # JAX would wait for the others, who wait for this process.
    leave = functools.partial(stuck.end_at_once, end.code if end else 1)
    atexit.register(leave)
    timer = threading.Timer(_SHUT, leave)  # a thread that saves waits for the others, too
    timer.daemon = True
    timer.start()


def on_all_processes(flags: np.ndarray) -> np.ndarray:
    """Which flags are true on every process, bool of the same shape; all processes call it."""
    flags = np.asarray(flags, bool)
    if jax.process_count() == 1:
        return flags
    return multihost_utils.process_allgather(flags).all(0)
