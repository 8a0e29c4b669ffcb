"""How long do devices that are not here exchange what a step exchanges?  By their makers' figures.

No measurement, and at best: every link at its full rate, no start of an exchange takes time.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from surgvista_jax.errors import UserError
from surgvista_jax.training.collectives import Collective


class Interconnect(NamedTuple):
    """What connects the devices of a kind.

    Attributes:
        together: devices with fast links to one another: of a machine with GPUs, of a TPU pod.
        inside: bytes a second that each sends over those; half of what makers call bidirectional.
        between: bytes a second that each sends from one such group to others; None: not known.
        source: of the figures.
    """

    together: int
    inside: float
    between: float | None
    source: str


_NVIDIA = "NVLink 900 GB/s both ways, one ConnectX-7 of 400 Gb/s a GPU (DGX H100/H200 user guide)"
_GOOGLE = "docs.cloud.google.com/tpu/docs/"
INTERCONNECTS = {
    "h100": Interconnect(8, 450e9, 50e9, _NVIDIA),
    "h200": Interconnect(8, 450e9, 50e9, _NVIDIA),
    "v5e": Interconnect(256, 200e9, 3.125e9, f"{_GOOGLE}v5e: 400 GBps both ways, 6.4 Tbps a pod"),
    "v5p": Interconnect(8960, 600e9, 6.25e9, f"{_GOOGLE}v5p: 1200 GBps both ways, 50 Gbps a chip"),
    "v6e": Interconnect(256, 400e9, None, f"{_GOOGLE}v6e: 800 GBps both ways"),
}


def interconnect(device: str) -> Interconnect:
    """What connects devices of a kind.

    Raises:
        UserError: that is not known here.
    """
    if device not in INTERCONNECTS:
        known = ", ".join(INTERCONNECTS)
        raise UserError(f"--device={device}: how they are connected is not known here; of {known}")
    return INTERCONNECTS[device]


def seconds(one: Collective, mesh: Mapping[str, int], links: Interconnect) -> float:
    """How long exchanges take, each device sending what it must and no more.

    A group that lies in several machines or pods exchanges inside each first, so that each device
    takes its part alone over the slower network.

    Args:
        mesh: axis -> size, of devices numbered in its order, `together` of which are neighbours.

    Raises:
        UserError: it goes over a network whose rate is not known.
    """
    along = tuple(axis in one.axes for axis in mesh)
    numbers = np.arange(np.prod(list(mesh.values()))).reshape(*mesh.values())
    group = numbers[tuple(slice(None) if is_along else 0 for is_along in along)].ravel()
    places = len({int(number) // links.together for number in group})
    inside = one.group // places
    if places > 1 and links.between is None:
        raise UserError(
            f"{one.group} devices along {' x '.join(one.axes)} do not lie among {links.together}"
            " that are together, and the network between those is not known here"
        )
    if one.kind == "collective-permute":
        return one.bytes / (links.inside if places == 1 else links.between or 1)
    passes = 2 if one.kind == "all-reduce" else 1
    near = (inside - 1) / inside * one.bytes / links.inside
    far = (places - 1) / places * one.bytes / inside / (links.between or 1)
    return passes * (near + far)


def seconds_of_all(found: Iterable[Collective], mesh: Mapping[str, int], device: str) -> float:
    """How long all exchanges of a step take, one after the other, on devices of a kind."""
    links = interconnect(device)
    return sum(seconds(one, mesh, links) for one in found)
