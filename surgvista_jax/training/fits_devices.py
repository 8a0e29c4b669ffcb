"""Does what a step needs fit onto the devices, and if not, which keys would make it fit?

Spoken up is only where it clearly does not: an estimate is within about 20 % (`memory`).
"""

import jax
from jax.sharding import Mesh

from surgvista_jax.errors import UserError
from surgvista_jax.host_memory import free_memory
from surgvista_jax.training.budget import BudgetConfig
from surgvista_jax.training.memory import Need
from surgvista_jax.training.partition import num_shares

GB = 1e9
STOP = 1.25  # of the memory: an estimate beyond it cannot fit
WARN = 0.9
ADVISED = 0.75  # what is advised leaves room for a compiler's buffers


def fits(
    need: Need, memory: float, budget: BudgetConfig, mesh: Mesh, remat: str, together: int = 1
) -> str | None:
    """What to say of a step on devices with so much memory; None where it fits.

    Args:
        together: clips of a stretch, which are computed at a time.

    Raises:
        UserError: it cannot fit, with the keys that would make it.
    """
    if need.total <= WARN * memory:
        return None
    said = (
        f"config.budget.batch_size={budget.batch_size}: a step needs about {in_gb(need.total)} on"
        f" each device, which has {in_gb(memory)}: {in_gb(need.state)} for parameters and moments,"
        f" {in_gb(need.gradients + need.frozen)} for gradients and what is not trained,"
        f" {in_gb(need.per_clip)} for each of {need.clips:g} clips at a time;"
        f" {', or '.join(_ways(need, memory, budget, mesh, remat, together))}"
    )
    return judge(need, memory, said)


def judge(need: Need, memory: float, said: str) -> str | None:
    """None where it fits, what is said where it may not; UserError where it cannot."""
    if need.total > STOP * memory:
        raise UserError(said)
    return said if need.total > WARN * memory else None


def forward_fits(need: Need, memory: float, what: str) -> str | None:
    """What to say of a pass without gradients; None where it fits.

    Args:
        what: the key of its batch, and the value.

    Raises:
        UserError: it cannot fit.
    """
    if need.total <= WARN * memory:
        return None
    shares = round(float(what.rpartition("=")[2]) / need.clips)
    clips = int((ADVISED * memory - need.fixed) // need.per_clip)
    key = what.rpartition("=")[0]
    way = f"take {key}={clips * shares}" if clips > 0 else "take a smaller model or smaller clips"
    said = (
        f"{what}: needs about {in_gb(need.total)} on each device, which has {in_gb(memory)}:"
        f" {in_gb(need.fixed)} for parameters, {in_gb(need.per_clip)} for each of {need.clips:g}"
        f" clips at a time; {way}"
    )
    return judge(need, memory, said)


def clips_fit(pixels: int, clips: int, mesh: Mesh, key: str) -> str | None:
    """What to say of a batch by its pixels alone, whatever looks at them; None where they fit.

    Args:
        pixels: values of a clip, which are held as bytes and normalised.
        clips: at a time, over all devices.
        key: where the user gives the batch size.

    Raises:
        UserError: they cannot fit.
    """
    available = device_memory(mesh)
    if available is None:
        return None
    shares = num_shares(mesh)
    need = Need(0.0, 0.0, 0.0, 3.0 * pixels, clips / shares)
    return forward_fits(need, available, f"{key}={clips}")


def _ways(
    need: Need, memory: float, budget: BudgetConfig, mesh: Mesh, remat: str, together: int
) -> list[str]:
    """The keys that would make a step fit, those that change no result first."""
    shares = num_shares(mesh)
    room = ADVISED * memory - need.fixed
    ways = []
    if budget.accumulate == 1:
        room -= need.gradients
    parts = budget.batch_size // shares
    most = min(parts, int(max(room, 0.0) // need.per_clip)) if need.per_clip else parts
    sizes = range(together, most + 1, together)
    fitting = [parts // clips for clips in sizes if parts % clips == 0]
    if fitting and min(fitting) > budget.accumulate:
        ways.append(f"config.budget.accumulate={min(fitting)} computes it in parts")
    if remat != "full":
        ways.append("config.compute.remat=full keeps less")
    if mesh.size > mesh.shape["fsdp"]:
        ways.append(f"config.mesh.fsdp={mesh.size // mesh.shape['model']} shares the model out")
    clips = int((ADVISED * memory - need.fixed) // need.per_clip) if need.per_clip else 0
    if 0 < clips < together:
        ways.append(f"config.clip.slide={clips}, whose clips are computed at a time")
    clips -= clips % together
    if 0 < clips < need.clips:
        ways.append(f"config.budget.batch_size={clips * shares * budget.accumulate}")
    if need.fixed > WARN * memory:
        return [*ways, "a smaller model, or more devices"]
    return [*ways, "smaller clips (config.clip.size, config.clip.num_frames)"]


def device_memory(mesh: Mesh) -> float | None:
    """Bytes that a device may use; None where nothing tells it.

    Of processors, which are one device or made to be several, their part of what is free; that is
    another for each of several processes, which must not decide differently: None.
    """
    devices = [
        device for device in mesh.devices.flat if device.process_index == jax.process_index()
    ]
    if not devices:
        return None
    if devices[0].platform == "cpu":
        free = free_memory() if jax.process_count() == 1 else None
        return None if free is None else free / len(devices)
    limits = [(device.memory_stats() or {}).get("bytes_limit") for device in devices]
    known = [limit for limit in limits if limit]
    return min(known) if known else None


def in_gb(size: float) -> str:
    """Bytes in words, as in \"12.3 GB\"."""
    return f"{size / GB:.3g} GB"
