"""As one of how many processes was this one started, by its options or by its launcher?"""

import argparse
import os
import re
from collections.abc import Mapping, Sequence

from jax._src.clusters import ClusterEnv  # JAX has no public name for what it finds out

from surgvista_jax.errors import UserError
from surgvista_jax.training.agreement import facts_of_code
from surgvista_jax.training.launchers import Launch, below_slurm, in_terminal, launch
from surgvista_jax.training.rendezvous import Start

# Seconds until a process that waits gives up: processes of one machine start together (but for a
# cold disk), others when their machines are ready. Where the variables of a launcher may have been
# handed down to a process alone, nobody would come.
_PATIENCE_DOUBTFUL = 20
PATIENCE_HERE = 120
PATIENCE = 300
_LONGEST = 604_800  # s, a week
_MOST = 2**16  # processes
_BY_HAND = "give --coordinator, --num-processes and --process-id"


def started(
    arguments: argparse.Namespace, facts: Mapping[str, str]
) -> tuple[Start, list[int] | None] | None:
    """How this process was started, and the devices that it takes (None: all); None: alone.

    Args:
        arguments: of `processes.add_arguments`.
        facts: what must be the same in all processes, beside the code and its packages.

    Raises:
        UserError: the options or the variables of a launcher do not fit each other.
    """
    by_hand = (arguments.coordinator, arguments.num_processes, arguments.process_id)
    launched = None
    if any(value is not None for value in by_hand):
        if arguments.distributed:
            raise UserError("--distributed: finds the processes itself; leave --coordinator out")
        _check_by_hand(*by_hand)
        promise, patience = f"--num-processes={arguments.num_processes}", PATIENCE
    elif launched := launch(os.environ, in_terminal(), below_slurm()):
        promise = launched.promise
        here = _PATIENCE_DOUBTFUL if launched.is_doubtful else PATIENCE_HERE
        patience = here if launched.on_one_host else PATIENCE
    elif arguments.distributed:
        promise, patience = "--distributed", PATIENCE
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
