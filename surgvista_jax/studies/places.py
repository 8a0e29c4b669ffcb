"""Where do the processes of a study run: which GPU, or which cores, has each?"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from surgvista_jax.errors import UserError

_PIN = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True)
class Place:
    """Where one process at a time runs.

    Attributes:
        said: after what is told of a run there.
        environment: variables of its processes.
        cores: that they may use; () for all.
        lasts: whether a process there runs one job after another. On a GPU it does not: what one
            run leaves in its memory would be in the way of the next.
    """

    said: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    cores: Sequence[int] = ()
    lasts: bool = True


def places_of(
    count: int, gpus: Sequence[str], cores: Sequence[int], accelerated: bool = False
) -> list[Place]:
    """As many places as jobs shall run side by side.

    Args:
        count: how many.
        gpus: their names for CUDA; [] where there is none, or none is to be used.
        cores: of the processor.
        accelerated: whether there is another accelerator, which one process has as a whole.

    Raises:
        UserError: there are fewer GPUs, cores or accelerators than that.
    """
    if count < 1:
        raise UserError(f"--jobs={count}: at least 1 is needed")
    if gpus:
        if count > len(gpus):
            raise UserError(f"--jobs={count}: {len(gpus)} GPUs are here, and each takes one job")
        if count == 1:
            return [Place(lasts=False)]  # which may use all of them
        return [Place(f" on GPU {gpu}", {_PIN: gpu}, lasts=False) for gpu in gpus[:count]]
    if accelerated:
        if count > 1:
            raise UserError(f"--jobs={count}: a TPU is one process's; take 1")
        return [Place(lasts=False)]
    if count > len(cores):
        raise UserError(f"--jobs={count}: {len(cores)} cores are here; take no more")
    if count == 1:
        return [Place()]
    return [Place(cores=tuple(cores[number::count])) for number in range(count)]


def places_here(count: int) -> list[Place]:
    """As `places_of`, of this machine and this process's share of it.

    Raises:
        UserError: it has fewer.
    """
    environment = os.environ
    return places_of(count, gpus_here(environment), _cores(), is_tpu_here(environment))


def _cores() -> list[int]:
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def gpus_here(environment: Mapping[str, str]) -> list[str]:
    """The GPUs that JAX would take, by their names for CUDA; nothing is started."""
    if environment.get("JAX_PLATFORMS", "").split(",")[0] in ("cpu", "tpu"):
        return []
    if _PIN in environment:
        return [name.strip() for name in environment[_PIN].split(",") if name.strip()]
    command = shutil.which("nvidia-smi")
    if command is None:
        return []
    said = subprocess.run([command, "-L"], capture_output=True, text=True).stdout
    return [str(n) for n, line in enumerate(x for x in said.splitlines() if x.startswith("GPU "))]


def is_tpu_here(environment: Mapping[str, str]) -> bool:
    """Whether JAX would take a TPU."""
    if environment.get("JAX_PLATFORMS", "").split(",")[0] == "tpu":
        return True
    return "JAX_PLATFORMS" not in environment and os.path.exists("/dev/accel0")
