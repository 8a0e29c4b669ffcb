"""May operations on GPUs add up in any order, or in one alone?

XLA's GPU compiler tries kernels and takes the fastest, which may be another at the next start, and
some add up in the order in which their parts end. One of its flags forbids both. The one kernel
that the flag does not cover, attention's backward pass, is in `models.attention`.
"""

import os
import sys
from collections.abc import Mapping

import jax
import ml_collections

from surgvista_jax.errors import UserError
from surgvista_jax.training import xla_flags

_KEY = "config.compute.deterministic=true"
_FLAG = "--xla_gpu_deterministic_ops"
_NUMBER = "jax_num_cpu_devices"


def asked_in(values: Mapping | ml_collections.ConfigDict) -> bool:
    """Whether a configuration that is not checked yet asks for it."""
    compute = values.get("compute")
    if not isinstance(compute, Mapping | ml_collections.ConfigDict):
        return False
    return compute.get("deterministic") is True


def make_deterministic(asked: bool) -> None:
    """Has XLA compute on GPUs in one order, if asked to; called before its devices start.

    A flag that the user set stays; where it says the opposite, that is said.

    Raises:
        UserError: the devices have started without the flag, and are GPUs; or XLA_FLAGS names a
            file that lacks it.
    """
    if not asked:
        return
    held = xla_flags.said_of(_FLAG)
    if held is None:
        _set(xla_flags.flags())
    elif not xla_flags.is_true(held):
        print(
            f"WARNING: {_KEY}, but XLA_FLAGS says {_FLAG}={held}: runs may differ in last digits",
            file=sys.stderr,
        )


def _set(flags: str) -> None:
    if _have_started():
        if jax.default_backend() == "gpu":
            raise UserError(
                f"{_KEY}: comes too late, as JAX has started its devices; set"
                f" XLA_FLAGS={_FLAG}=true before anything is computed"
            )
        return  # elsewhere it changes nothing
    if file := xla_flags.file_of(flags):
        raise UserError(f"{_KEY}: write {_FLAG}=true into {file}, which XLA_FLAGS names")
    os.environ["XLA_FLAGS"] = f"{flags} {_FLAG}=true".strip()


def _have_started() -> bool:
    """Whether JAX has started its devices: the option of how many there are is closed then."""
    number = getattr(jax.config, _NUMBER)
    try:
        jax.config.update(_NUMBER, number + 1)
    except RuntimeError:
        return True
    jax.config.update(_NUMBER, number)
    return False
