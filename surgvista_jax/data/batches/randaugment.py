"""RandAugment: the operations that are applied to a clip, and how strongly.

The policy is `rand-m7-n4-mstd0.5-inc1` of the recipe: four operations drawn with replacement from
fifteen, each applied with probability 0.5, at a level out of 10 drawn from a normal distribution
about 7, all of which do more at a higher level. Source: Cubuk et al., "RandAugment"
(2020), with the level's spread and the increasing set that image-classification recipes add.
"""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from surgvista_jax.checks import check
from surgvista_jax.data.batches import image_operations as images

MAX_LEVEL = 10.0


@dataclasses.dataclass(frozen=True, slots=True)
class RandAugmentConfig:
    """The policy.

    Attributes:
        operations: how many are drawn; 0 turns it off.
        level: mean of the level, out of 10.
        level_std: its standard deviation; levels are clipped to 0 and 10.
        probability: of applying each operation that was drawn.
    """

    operations: int = 4
    level: float = 7.0
    level_std: float = 0.5
    probability: float = 0.5

    def __post_init__(self) -> None:
        check(self, "from 0 to 100", lambda number: 0 <= number <= 100, "operations")
        rule = f"from 0 to {MAX_LEVEL}"
        check(self, rule, lambda level: 0 <= level <= MAX_LEVEL, "level", "level_std")
        check(self, "from 0 to 1", lambda chance: 0 <= chance <= 1, "probability")


@dataclasses.dataclass(frozen=True, slots=True)
class Operation:
    """An operation of OPERATIONS with its argument, None for one that takes none."""

    name: str
    argument: float | int | None = None


def _signed(highest: float, neutral: float = 0.0) -> Callable[[float, int], float]:
    """Up to `highest` away from `neutral`, at the highest level, to either side."""
    return lambda level, sign: neutral + sign * highest * level / MAX_LEVEL


# Name -> what it does to pixels, and its argument from the level and a sign that is drawn.
# A translation is a share of the frame's size: the increasing set moves by up to 0.45 of it.
OPERATIONS: dict[str, tuple[Callable[..., None], Callable[[float, int], float | int] | None]] = {
    "auto_contrast": (images.auto_contrast, None),
    "equalize": (images.equalize, None),
    "invert": (images.invert, None),
    "rotate": (images.rotate, _signed(30.0)),
    "posterize": (images.posterize, lambda level, sign: 4 - int(level / MAX_LEVEL * 4)),
    "solarize": (images.solarize, lambda level, sign: 256 - int(level / MAX_LEVEL * 256)),
    "solarize_add": (images.solarize_add, lambda level, sign: int(level / MAX_LEVEL * 110)),
    "color": (images.color, _signed(0.9, neutral=1.0)),
    "contrast": (images.contrast, _signed(0.9, neutral=1.0)),
    "brightness": (images.brightness, _signed(0.9, neutral=1.0)),
    "sharpness": (images.sharpness, _signed(0.9, neutral=1.0)),
    "shear_x": (images.shear_x, _signed(0.3)),
    "shear_y": (images.shear_y, _signed(0.3)),
    "translate_x": (images.translate_x, _signed(0.45)),
    "translate_y": (images.translate_y, _signed(0.45)),
}
_NAMES = tuple(OPERATIONS)


def draw_operations(rng: np.random.Generator, config: RandAugmentConfig) -> tuple[Operation, ...]:
    """Draws what is done to all frames of a clip, in this order."""
    drawn = []
    for number in rng.integers(len(_NAMES), size=config.operations):
        applied = rng.random() < config.probability
        level = min(MAX_LEVEL, max(0.0, rng.normal(config.level, config.level_std)))
        sign = 1 if rng.random() < 0.5 else -1
        if applied:
            _, argument = OPERATIONS[_NAMES[number]]
            drawn.append(Operation(_NAMES[number], argument and argument(level, sign)))
    return tuple(drawn)


def apply_operations(frames: np.ndarray, operations: Sequence[Operation]) -> np.ndarray:
    """Returns the clip after these operations; `frames` stays as it is.

    Args:
        frames: uint8 [T, H, W, 3], contiguous.

    Returns:
        Frames of the same shape: `frames` itself where there is nothing to do.
    """
    # Two arrays in turn: allocating one for each operation costs as much as some operations.
    arrays = [np.empty(frames.shape, np.uint8) for _ in operations[:2]]
    source = frames
    for place, operation in enumerate(operations):
        target = arrays[place % 2]
        function, _ = OPERATIONS[operation.name]
        arguments = () if operation.argument is None else (operation.argument,)
        function(source, target, *arguments)
        source = target
    return source
