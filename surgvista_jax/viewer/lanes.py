"""Further lanes of a page: classes of another task, a curve, or a picture every now and then."""

from dataclasses import dataclass

import numpy as np

from surgvista_jax.counted import counted


@dataclass(frozen=True, eq=False)
class Classes:
    """When the classes of another task hold, such as instruments below phases.

    Attributes:
        title: of all of them.
        names: of the classes, C.
        stretches: of each class, (start, end) in seconds, ascending.
        note: what the reader should know of them.
    """

    title: str
    names: tuple[str, ...]
    stretches: tuple[tuple[tuple[float, float], ...], ...]
    note: str = ""

    def __post_init__(self) -> None:
        if len(self.names) != len(self.stretches):
            raise ValueError(
                f"stretches: of {counted(len(self.stretches), 'class', 'classes')},"
                f" {len(self.names)} names"
            )


@dataclass(frozen=True, eq=False)
class Curve:
    """A number over time.

    Attributes:
        title: what stands above it.
        seconds: float [m], ascending.
        values: float [m], from 0 to 1.
        note: what the reader should know of it.
    """

    title: str
    seconds: np.ndarray
    values: np.ndarray
    note: str = ""

    def __post_init__(self) -> None:
        if len(self.seconds) != len(self.values):
            raise ValueError(f"values: {len(self.values)} of {len(self.seconds)} moments")


@dataclass(frozen=True, eq=False)
class Pictures:
    """Small pictures, each from its time on, such as maps over the frames.

    Attributes:
        title: what stands above them.
        seconds: float [m], ascending.
        images: m JPEG or PNG files.
        note: what the reader should know of them.
    """

    title: str
    seconds: np.ndarray
    images: tuple[bytes, ...]
    note: str = ""

    def __post_init__(self) -> None:
        if len(self.seconds) != len(self.images):
            raise ValueError(f"images: {len(self.images)} of {len(self.seconds)} moments")
        for number, image in enumerate(self.images):
            if not image.startswith((b"\xff\xd8\xff", b"\x89PNG")):
                raise ValueError(f"images[{number}]: neither JPEG nor PNG")


Lane = Classes | Curve | Pictures
