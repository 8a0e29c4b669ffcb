"""How fast would a program be on devices that are not here, and how much do they hold?

A rate that was measured is taken where program and device are the same. Any other is scaled from
it, by the operations of a clip and the peaks of the devices, and is no more than an estimate.
"""

import os
from typing import NamedTuple

from surgvista_jax.errors import UserError
from surgvista_jax.training.peaks import peak_flops

_FRACTION = "XLA_PYTHON_CLIENT_MEM_FRACTION"  # of a GPU's memory, which JAX takes


class Device(NamedTuple):
    """A device that can be planned for.

    Attributes:
        kind: what JAX calls it, up to its variants.
        backend: "gpu" or "tpu".
        memory: bytes, by the maker's data sheet.
    """

    kind: str
    backend: str
    memory: float

    @property
    def peak(self) -> float:
        """bfloat16 operations a second at best."""
        peak = peak_flops(self.kind)
        assert peak is not None  # a test looks at all of them
        return peak

    @property
    def usable(self) -> float:
        """Bytes that JAX lets a program use: three quarters of a GPU's, if nothing else is said."""
        if self.backend != "gpu":
            return 0.97 * self.memory
        said = os.environ.get(_FRACTION) or "0.75"
        try:
            return float(said) * self.memory
        except ValueError:
            raise UserError(f"{_FRACTION}={said}: should be a number, such as 0.9") from None


_GIB = 2.0**30
DEVICES = {
    "a100": Device("NVIDIA A100", "gpu", 80 * _GIB),
    "h100": Device("NVIDIA H100 80GB HBM3", "gpu", 79.6 * _GIB),
    "h200": Device("NVIDIA H200", "gpu", 140.4 * _GIB),
    "rtx4090": Device("NVIDIA GeForce RTX 4090", "gpu", 24 * _GIB),
    "v4": Device("TPU v4", "tpu", 32 * _GIB),
    "v5e": Device("TPU v5e", "tpu", 16 * _GIB),
    "v5p": Device("TPU v5p", "tpu", 95 * _GIB),
    "v6e": Device("TPU v6e", "tpu", 32 * _GIB),
}


class Measured(NamedTuple):
    """A rate of one device, 16 x 224 x 224 pixels, batch 64, bfloat16, blocks unrolled.

    Attributes:
        program: "pretraining", "finetuning" or "prediction".
        device: of `DEVICES`.
        gflop: that a clip needs, by which the models are recognised.
        clips_per_second: by `surgvista bench`.
        what: the models, in words.
    """

    program: str
    device: str
    gflop: float
    clips_per_second: float
    what: str


# H100 80GB, jax 0.11.2, November 2026.
MEASURED = (
    Measured("pretraining", "h100", 1278.7, 352.7, "ViT-B student, ViT-L teacher"),
    Measured("finetuning", "h100", 1082.0, 350.1, "ViT-B"),
    Measured("prediction", "h100", 360.7, 1325.4, "ViT-B"),
)
_BATCH = 64  # at which they were measured
_ALIKE = 0.02  # relative difference of operations up to which models are the same


class Rate(NamedTuple):
    """Clips a second of one device.

    Attributes:
        measured: whether it was; else it is an estimate.
        source: where it comes from, in words.
    """

    clips_per_second: float
    measured: bool
    source: str


def rate_of(program: str, device: str, flops_per_clip: float, as_measured: bool = True) -> Rate:
    """The rate to be expected of a program on one device.

    Args:
        device: of `DEVICES`.
        flops_per_clip: without recomputation.
        as_measured: whether the program is computed as the measured ones were.
    """
    rows = [row for row in MEASURED if row.program == program]
    own = [row for row in rows if row.device == device]
    nearest = min(own or rows, key=lambda row: abs(row.gflop - flops_per_clip / 1e9))
    share = flops_per_clip / 1e9 / nearest.gflop
    peaks = DEVICES[device].peak / DEVICES[nearest.device].peak
    rate = nearest.clips_per_second / share * peaks
    if own and as_measured and abs(share - 1) < _ALIKE:
        source = f"measured on one device at batch {_BATCH}, {nearest.what}"
        return Rate(nearest.clips_per_second, True, source)
    source = f"estimated from {nearest.clips_per_second:g} clips/s of {nearest.what} on"
    return Rate(rate, False, f"{source} {nearest.device}, by operations and peaks")
