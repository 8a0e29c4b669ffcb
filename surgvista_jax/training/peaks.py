"""The bf16 operations a second that a device could do at best."""

import re

# Dense bf16 FLOP/s of one JAX device by `device_kind`, from the makers' data sheets (where those
# quote sparsity, half of it). Left out are devices without bf16 (V100, T4) and all others: for them
# no utilisation is reported.
_PEAKS = {
    "NVIDIA B200": 2250e12,
    "NVIDIA GH200": 989e12,
    "NVIDIA H200": 989e12,
    "NVIDIA H200 NVL": 835e12,
    "NVIDIA H100 80GB HBM3": 989e12,
    "NVIDIA H100 NVL": 835e12,
    "NVIDIA H100 PCIe": 756e12,
    "NVIDIA A100": 312e12,
    "NVIDIA A10": 125e12,
    "NVIDIA A10G": 70e12,
    "NVIDIA L40S": 362e12,
    "NVIDIA L40": 181e12,
    "NVIDIA L4": 121e12,
    "NVIDIA RTX A6000": 155e12,
    "NVIDIA GeForce RTX 4090": 165e12,
    "NVIDIA GeForce RTX 3090": 71e12,
    "TPU v2": 22.5e12,  # a device is one of the chip's two cores, as in v3 and 7x
    "TPU v3": 61.5e12,
    "TPU v4": 275e12,
    "TPU v5 lite": 197e12,
    "TPU v5e": 197e12,
    "TPU v5": 459e12,
    "TPU v5p": 459e12,
    "TPU v6 lite": 918e12,
    "TPU v6e": 918e12,
    "TPU7x": 1153e12,
}


def peak_flops(device_kind: str) -> float | None:
    """Peak of a device by the name JAX reports, None where it is not known.

    The longest entry that begins the name, up to the end of a word, counts: "NVIDIA A100-SXM4-80GB"
    is an A100, "TPU v4 lite" not a v4. A slice of a GPU (MIG) has no entry.
    """
    if "MIG" in device_kind or device_kind == "TPU v4 lite":
        return None
    for name in sorted(_PEAKS, key=len, reverse=True):
        if re.match(re.escape(name) + r"(?![A-Za-z0-9])", device_kind):
            return _PEAKS[name]
    return None
