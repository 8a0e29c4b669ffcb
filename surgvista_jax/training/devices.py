"""Are the devices here that the user asks JAX for?"""

import functools
import os
import sys

import jax

from surgvista_jax.errors import UserError
from surgvista_jax.host_memory import share_arenas

_KNOWN = ("cpu", "cuda", "gpu", "rocm", "tpu")
_NAMES = {"cuda": "NVIDIA GPU", "gpu": "GPU", "rocm": "AMD GPU", "tpu": "TPU"}
_INSTALL = {"cuda": '".[gpu]"', "gpu": '".[gpu]"', "tpu": '".[tpu]"'}


def start_devices() -> None:
    """Starts JAX's devices; a command calls it before it reads anything large.

    Raises:
        UserError: the environment asks for devices that are not here, or one does not start.
    """
    asked = os.environ.get("JAX_PLATFORMS", "")
    share_arenas()
    # GPUs draw the same numbers by a kernel that is there: XLA would write one out for each
    # parameter that is drawn, which takes it 70 s for a ViT-B student and a ViT-L teacher.
    jax.config.update("jax_threefry_gpu_kernel_lowering", True)
    try:
        jax.devices()
    except (RuntimeError, AssertionError) as error:  # the latter: no GPU is there at all
        raise UserError(_words(str(error), asked)) from None
    first = asked.split(",")[0]
    if first not in ("", "cpu") and jax.default_backend() == "cpu":
        _say_once(
            f"JAX_PLATFORMS={asked}: there is no {_NAMES.get(first, first)} here, so the processor"
            " computes"
        )


@functools.cache
def _say_once(line: str) -> None:
    print(f"WARNING: {line}", file=sys.stderr)


def _words(error: str, asked: str) -> str:
    """One line for what JAX says of devices that it cannot start."""
    reason = error.partition("\n")[0].partition(" (set JAX_PLATFORMS")[0]
    reason = reason.partition(" (you may need to uninstall")[0].strip()
    if not asked:
        return f"{reason}: JAX_PLATFORMS=cpu runs on the processor instead"
    names = asked.split(",")
    instead = "unset JAX_PLATFORMS to take what is here"
    if unknown := [name for name in names if name not in _KNOWN]:
        return (
            f"JAX_PLATFORMS={asked}: there is no platform {unknown[0]!r}: take cpu, cuda (NVIDIA)"
            f" or tpu, or {instead}"
        )
    extra = next((_INSTALL[name] for name in names if name in _INSTALL), None)
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES")
    parts = [
        f"JAX_PLATFORMS={asked}: there is no such device here",
        f" ({reason})" if reason else "",
        "; CUDA_VISIBLE_DEVICES hides all GPUs"
        if hidden is not None and not hidden.strip()
        else "",
        f": install {extra} on a machine that has one" if extra else ":",
        f", or {instead}" if extra else f" {instead}",
    ]
    return "".join(parts)
