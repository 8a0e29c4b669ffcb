"""What does a person call the clips and frames of a run?"""

import dataclasses
from collections.abc import Callable
from typing import Any


@dataclasses.dataclass(frozen=True)
class Names:
    """What a person calls the data.

    clip: names the clip of an index.
    frame: names a frame by its clip's index and its place in the clip.
    """

    clip: Callable[[int], Any] = "clip {}".format
    frame: Callable[[int, int], str] = "clip {}, frame {}".format
