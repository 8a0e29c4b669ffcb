"""What do Slurm and Open MPI say of the processes that they started as one run?"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from surgvista_jax.errors import UserError

# What `srun` tells each process that it starts and `sbatch` and `salloc` alone do not; JAX reads
# them (jax._src.clusters.slurm_cluster).
_OF_SRUN = ("SLURM_JOB_ID", "SLURM_STEP_NODELIST", "SLURM_PROCID", "SLURM_LOCALID")
_ALONE = "or run it alone with SLURM_NTASKS=1"


@dataclass(frozen=True)
class Launch:
    """A run of several processes.

    Attributes:
        promise: who says so, such as "SLURM_NTASKS=4".
        num_processes: all of them.
        process_id: which of them this one is; None: JAX finds out.
        on_one_host: whether all run on this machine, so that they start at the same time.
        is_doubtful: whether the launcher itself is not to be seen, which may mean that it started
            this process alone, or that a container hides it.
        sees_all_devices: whether this process has every device that it can see; else processes of
            a machine share its devices out, one each.
    """

    promise: str
    num_processes: int
    process_id: int | None
    on_one_host: bool
    is_doubtful: bool = False
    sees_all_devices: bool = False


def launch(
    environment: Mapping[str, str], in_terminal: bool, below_slurm: bool = True
) -> Launch | None:
    """The run that this process was started as a part of; None for a process alone.

    Variables that are empty count as unset, as shells and containers pass them on.

    Args:
        environment: of this process.
        in_terminal: whether it belongs to a terminal.
        below_slurm: whether one of the processes above it is Slurm's.

    Raises:
        UserError: a launcher promises several processes, but did not start this one as one of them,
            or a variable is no number.
    """
    told = {name: value for name, value in environment.items() if value.strip()}
    return _open_mpi(told) or _slurm(told, in_terminal, below_slurm)


def _open_mpi(told: Mapping[str, str]) -> Launch | None:
    count = _number(told, "OMPI_COMM_WORLD_SIZE")
    if count is None or count < 2:
        return None
    promise = f"OMPI_COMM_WORLD_SIZE={count}"
    rank = _number(told, "OMPI_COMM_WORLD_RANK")
    if rank is None:
        raise UserError(
            f"{promise}: Open MPI promises {count} processes, but did not start this one: start it"
            " by `mpirun surgvista …`, or run it alone with OMPI_COMM_WORLD_SIZE=1"
        )
    _check_rank(rank, count, "OMPI_COMM_WORLD_RANK", promise)
    if "OMPI_MCA_orte_hnp_uri" not in told:  # Open MPI 5 does not say where process 0 is
        raise UserError(
            f"{promise}: this Open MPI does not say where process 0 runs: give --coordinator="
            "HOST:PORT --num-processes=$OMPI_COMM_WORLD_SIZE --process-id=$OMPI_COMM_WORLD_RANK"
        )
    return Launch(promise, count, None, _number(told, "OMPI_COMM_WORLD_LOCAL_SIZE") == count)


def _slurm(told: Mapping[str, str], in_terminal: bool, below_slurm: bool) -> Launch | None:
    # Within a step of a job, both count the step's processes; in a job's own shell the first counts
    # what the job was granted, and the second is 1 or missing.
    counts = {name: _number(told, name) for name in ("SLURM_NTASKS", "SLURM_STEP_NUM_TASKS")}
    known = {name: count for name, count in counts.items() if count is not None}
    if not known or min(known.values()) < 2:
        return None
    name = min(known, key=lambda name: known[name])
    count, promise = known[name], f"{name}={known[name]}"
    by_srun = f"start it by `srun --ntasks={count} surgvista …`, {_ALONE}"
    if missing := [name for name in _OF_SRUN if name not in told]:
        raise UserError(
            f"{promise}: Slurm promises {count} processes, but srun did not start this one"
            f" ({missing[0]} is not set): {by_srun}"
        )
    if in_terminal:
        raise UserError(
            f"{promise}: Slurm promises {count} processes, but a terminal (srun --pty) belongs to"
            f" one of them alone: {by_srun}"
        )
    rank = _number(told, "SLURM_PROCID")
    for name in ("SLURM_JOB_ID", "SLURM_LOCALID"):  # JAX reads them as numbers
        _number(told, name)
    assert rank is not None  # it is not missing
    _check_rank(rank, count, "SLURM_PROCID", promise)
    return Launch(
        promise=promise,
        num_processes=count,
        process_id=rank,
        on_one_host=not re.search(r"[\[,]", told["SLURM_STEP_NODELIST"]),
        is_doubtful=not below_slurm,
        # Slurm hides the devices of other processes from this one in the second case.
        sees_all_devices=_tasks_here(told) == 1 or "SLURM_GPUS_PER_TASK" in told,
    )


def _tasks_here(told: Mapping[str, str]) -> int | None:
    """How many processes of the step run on this machine; None where Slurm does not say."""
    each: list[int] = []
    for part in told.get("SLURM_STEP_TASKS_PER_NODE", "").split(","):
        if found := re.fullmatch(r"([0-9]{1,9})(?:\(x([0-9]{1,6})\))?", part.strip()):  # "2(x3),1"
            each += [int(found[1])] * int(found[2] or 1)
    node = _number(told, "SLURM_NODEID")
    return each[node] if node is not None and node < len(each) else None


def _number(told: Mapping[str, str], name: str) -> int | None:
    """A variable's whole number from 0 on; None where it is not set."""
    if name not in told:
        return None
    value = told[name].strip()
    if not re.fullmatch(r"[0-9]{1,18}", value):
        raise UserError(f"{name}={value}: should be a whole number; correct or unset it")
    return int(value)


def _check_rank(rank: int, count: int, name: str, promise: str) -> None:
    if rank >= count:
        raise UserError(f"{name}={rank}: should be below {promise}; unset both to run alone")


def in_terminal() -> bool:
    """Whether this process belongs to a terminal; what `srun` starts without --pty does not."""
    try:
        os.close(os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY))
    except OSError:
        return False
    return True


def below_slurm() -> bool:
    """Whether one of the processes above this one is Slurm's; True where that cannot be known."""
    pid = os.getpid()
    while pid > 1:
        try:
            name, _, rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")
        except OSError:
            return True
        if "slurmstepd" in name:
            return True
        pid = int(rest.split()[1])
    return False
