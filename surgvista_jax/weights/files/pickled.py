"""What programs pickle beside tensors, as stand-ins: nothing of theirs is imported or called.

A stand-in takes the place of a class or function that a file names. NumPy's arrays keep their
numbers; settings, paths and scalars become empty dicts.
"""

import re
from collections import OrderedDict
from typing import Any

import numpy as np


class Beside:
    """Stands for any class of settings: making one gives a dict, which takes keys and states."""

    def __new__(cls, *arguments: Any) -> Any:
        return OrderedDict()


class NumpyType:
    """Stands for `numpy.dtype`: a code such as "f4", and the order of its bytes."""

    def __init__(self, code: Any = "", *_: Any):
        self.code, self.order = str(code), "="

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">"):
            self.order = state[1]


class NumpyArray:
    """Stands for an array of NumPy's as it is pickled: shape, type, order and bytes."""

    def __init__(self, *_: Any):
        self.state: Any = ()

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def array(self) -> np.ndarray | None:
        """The array; None where its form is none of plain numbers."""
        try:
            _, shape, dtype, by_column, data = self.state
            plain = np.dtype(dtype.order + dtype.code.lstrip("<>=|"))
            if plain.kind not in "biuf" or not isinstance(data, bytes):
                return None
            flat = np.frombuffer(data, plain)
            return flat.reshape(shape, order="F" if by_column else "C").astype(
                plain.newbyteorder("=")
            )
        except (AttributeError, TypeError, ValueError):
            return None


_PLAIN_TYPES = ("bool", "bytes", "dict", "float", "frozenset", "int", "list", "str", "tuple")
# The name of a class or function in a file -> what takes its place. NumPy 2 moved its own.
STAND_INS: dict[str, type] = {
    **{f"builtins.{name}": Beside for name in _PLAIN_TYPES},
    **{f"__builtin__.{name}": Beside for name in _PLAIN_TYPES},
    "numpy.dtype": NumpyType,
    "numpy.ndarray": Beside,
    **{f"numpy.{core}.multiarray.scalar": Beside for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray._reconstruct": NumpyArray for core in ("core", "_core")},
}
# Packages whose classes hold settings or the state of a training program.
_SETTINGS = re.compile(
    r"(argparse\.Namespace|types\.SimpleNamespace|collections\.defaultdict|numpy\.dtypes"
    r"|torch\.torch_version|pathlib|datetime|typing|omegaconf|yacs|easydict|addict|ml_collections"
    r"|mmcv|mmengine|lightning|lightning_fabric|pytorch_lightning|deepspeed)(\..+)?"
)


def stand_in(name: str) -> type | None:
    """What takes the place of a class of settings; None for anything else, which is refused."""
    return STAND_INS.get(name) or (Beside if _SETTINGS.fullmatch(name) else None)
