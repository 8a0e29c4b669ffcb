"""Several processes as one run: `jax.distributed`, before any device is asked for."""

import argparse
import atexit
import contextlib
import functools
import re
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils

from surgvista_jax import stuck
from surgvista_jax.addresses import address_of, in_bucket
from surgvista_jax.config.printing import add_print_config
from surgvista_jax.errors import UserError, ending
from surgvista_jax.ownership import add_overwrite, sha256_of
from surgvista_jax.training.agreement import differences, facts_of_config
from surgvista_jax.training.compilation_cache import keep_compiled
from surgvista_jax.training.devices import start_devices
from surgvista_jax.training.rendezvous import Start, meet
from surgvista_jax.training.started import PATIENCE, PATIENCE_HERE, started
from surgvista_jax.training.watch import BEAT, SILENCE, Watch

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
        help=f"to wait for the other processes ({PATIENCE}; {PATIENCE_HERE} on one machine under"
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
    start = started(arguments, facts)
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
